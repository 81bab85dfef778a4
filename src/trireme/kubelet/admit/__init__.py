"""Whether this node takes a pod that the scheduler gave to it."""

"""Routes to the pod networks of nodes."""

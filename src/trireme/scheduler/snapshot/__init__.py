"""The scheduler's snapshot of the cluster: columns over nodes, kept up to date by events."""

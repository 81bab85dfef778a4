"""The cluster as the scheduler sees it: columns over nodes, kept up to date by events."""

"""Volumes in scheduling: what a pod's claims allow, and what is bound once a node is chosen."""

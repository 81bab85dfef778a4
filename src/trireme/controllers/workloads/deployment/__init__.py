"""Deployments: versions of a pod template, rolled out by scaling their ReplicaSets."""

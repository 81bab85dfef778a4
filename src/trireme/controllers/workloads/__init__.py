"""Pods in numbers: ReplicaSets, Deployments."""

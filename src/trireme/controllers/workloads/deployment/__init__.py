"""Deployments: a pod template rolled out by scaling ReplicaSets."""

"""Trireme: Kubernetes, whole, in Python. Start reading at docs/architecture.md."""

"""API group core."""

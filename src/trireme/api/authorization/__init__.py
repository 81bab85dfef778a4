"""API group authorization."""

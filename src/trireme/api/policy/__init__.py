"""API group policy."""

"""API group storage."""

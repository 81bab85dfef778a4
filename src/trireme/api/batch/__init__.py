"""API group batch."""

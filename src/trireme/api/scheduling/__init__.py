"""API group scheduling."""

"""API group authentication."""

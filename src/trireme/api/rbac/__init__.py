"""API group rbac."""

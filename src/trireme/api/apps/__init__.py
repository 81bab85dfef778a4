"""API group apps."""

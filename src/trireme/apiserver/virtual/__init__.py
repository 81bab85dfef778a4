"""Kinds that are answered and never stored, and paths outside the resources (health, version)."""

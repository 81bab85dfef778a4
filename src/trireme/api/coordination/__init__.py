"""API group coordination."""

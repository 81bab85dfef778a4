"""Graceful node shutdown: pods end by priority before the machine does."""

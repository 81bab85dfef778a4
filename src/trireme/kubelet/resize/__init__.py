"""Resizing pods in place: which resources are allocated, and how they come into force (KEP-1287)."""

"""Resizing pods in place: what is allocated, and how it comes into force (KEP-1287)."""

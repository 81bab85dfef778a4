"""Aggregated API servers: the way to them, and which versions of which groups they serve."""

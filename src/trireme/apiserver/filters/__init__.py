"""Filters of the request chain; ``apiserver/chain`` calls them in order."""

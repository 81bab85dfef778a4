"""Nodes that come, fail and go, and their pods."""

"""Backends, which apply a ruleset."""

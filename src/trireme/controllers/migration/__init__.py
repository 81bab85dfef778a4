"""Stored versions: objects are written anew in the version in which their kind is stored."""

"""Paths below an object that are more than a read or a write of it, one file each."""

"""Admission of pods that are bound to this node."""

"""Admission policies: the types of their expressions."""

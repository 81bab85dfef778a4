"""Cgroups of pods: ``plan`` says which values, ``apply`` writes them (v1, v2, or none)."""

"""API group apiextensions.k8s.io: kinds that are defined by data."""

"""Types and kinds of scheduling.k8s.io/v1alpha2, found by folder."""

from trireme.kit import catalog

__getattr__ = catalog.lazy(__name__, __path__)

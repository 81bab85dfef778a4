"""Types and kinds of storage.k8s.io/v1beta1, found by folder."""

from trireme.kit import catalog

__getattr__ = catalog.lazy(__name__, __path__)

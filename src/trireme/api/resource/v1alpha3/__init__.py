"""Types and kinds of resource.k8s.io/v1alpha3, found by folder."""

from trireme.kit import catalog

__getattr__ = catalog.lazy(__name__, __path__)

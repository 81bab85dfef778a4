"""Types and kinds of admissionregistration.k8s.io/v1alpha1, found by folder."""

from trireme.kit import catalog

__getattr__ = catalog.lazy(__name__, __path__)

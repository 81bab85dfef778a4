"""Types and kinds of autoscaling/v2, found by folder."""

from trireme.kit import catalog

__getattr__ = catalog.lazy(__name__, __path__)

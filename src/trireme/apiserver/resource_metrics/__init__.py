"""metrics.k8s.io: what nodes and pods use, for ``kubectl top`` and the autoscaler."""

from trireme.apiserver.resource_metrics.types import RESOURCES as RESOURCES

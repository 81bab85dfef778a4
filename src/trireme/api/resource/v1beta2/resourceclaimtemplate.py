"""ResourceClaimTemplate in resource.k8s.io/v1beta2: the same as in v1, in which it is stored."""

from __future__ import annotations

from trireme.api.resource.v1 import resourceclaimtemplate as v1
from trireme.machinery.resource import alias
from trireme.machinery.types import constant


class ResourceClaimTemplate(v1.ResourceClaimTemplate):
    apiVersion: str = constant("resource.k8s.io/v1beta2")


RESOURCE = alias(v1.RESOURCE, ResourceClaimTemplate, deprecated="v1.36+, unavailable in v1.39+")

"""Types of template: see the API reference, core/v1."""

from __future__ import annotations

from trireme.api.core.v1.pod.spec import PodSpec
from trireme.machinery import meta
from trireme.machinery.types import Struct, always


class PodTemplateSpec(Struct):
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: PodSpec = always(PodSpec)

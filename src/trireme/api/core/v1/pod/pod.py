"""Types of pod: see the API reference, core/v1."""

from __future__ import annotations

from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.status import PodStatus
from trireme.machinery import meta
from trireme.machinery.types import Struct, always, constant


class Pod(Struct):
    kind: str = constant("Pod")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: PodSpec = always(PodSpec)
    status: PodStatus = always(PodStatus)

"""Types of pod: see the API reference, core/v1."""

from __future__ import annotations

from trireme.api.core.v1.pod.binding import Binding
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.status import PodStatus
from trireme.machinery import meta
from trireme.machinery.resource import Resource, Subresource, status
from trireme.machinery.types import Struct, always, constant


class Pod(Struct):
    kind: str = constant("Pod")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: PodSpec = always(PodSpec)
    status: PodStatus = always(PodStatus)


RESOURCE = Resource(
    type=Pod,
    plural="pods",
    short_names=("po",),
    categories=("all",),
    subresources=(
        Subresource("attach", ("create", "get"), kind="PodAttachOptions"),
        Subresource("binding", ("create",), Binding),
        Subresource("ephemeralcontainers", ("get", "patch", "update")),
        Subresource("exec", ("create", "get"), kind="PodExecOptions"),
        Subresource("log", ("get",)),
        Subresource("portforward", ("create", "get"), kind="PodPortForwardOptions"),
        status(),
    ),
)

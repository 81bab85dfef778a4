"""What a Pod is: its names, its rules and how it is shown.

The rules are next door: ``defaults``, ``prepare``, ``columns`` and ``rules/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from trireme.api.core.v1.pod import columns, defaults, prepare
from trireme.api.core.v1.pod.binding import Binding
from trireme.api.core.v1.pod.pod import Pod
from trireme.machinery.resource import Resource, Subresource, spec_changed, status

_PART: Final = ("get", "patch", "update")
_STREAM: Final = ("create", "get")


def grace(pod: Pod, asked: int | None) -> int:
    """Seconds until a deleted pod is gone: none for one that runs nowhere or has ended."""
    if not pod.spec.nodeName or pod.status.phase in ("Failed", "Succeeded"):
        return 0
    period = asked if asked is not None else pod.spec.terminationGracePeriodSeconds or 0
    return period if period >= 0 else 1


SELECTABLE: Final[Mapping[str, Callable[[Pod], str]]] = {
    "spec.nodeName": lambda pod: pod.spec.nodeName,
    # The name of spec.nodeName in the first API versions.
    "spec.host": lambda pod: pod.spec.nodeName,
    "spec.restartPolicy": lambda pod: pod.spec.restartPolicy,
    "spec.schedulerName": lambda pod: pod.spec.schedulerName,
    "spec.serviceAccountName": lambda pod: pod.spec.serviceAccountName,
    "spec.hostNetwork": lambda pod: "true" if pod.spec.hostNetwork else "false",
    "status.phase": lambda pod: pod.status.phase,
    "status.podIP": lambda pod: pod.status.podIPs[0].ip if pod.status.podIPs else "",
    # Accepted by upstream, which gives it no value.
    "status.podIPs": lambda pod: "",
    "status.nominatedNodeName": lambda pod: pod.status.nominatedNodeName,
}

RESOURCE = Resource(
    type=Pod,
    plural="pods",
    short_names=("po",),
    categories=("all",),
    subresources=(
        Subresource("attach", _STREAM, kind="PodAttachOptions"),
        Subresource("binding", ("create",), Binding),
        Subresource("ephemeralcontainers", _PART, prepare=prepare.ephemeral_containers),
        Subresource("exec", _STREAM, kind="PodExecOptions"),
        Subresource("log", ("get",)),
        Subresource("portforward", _STREAM, kind="PodPortForwardOptions"),
        Subresource("resize", _PART, prepare=prepare.resize),
        status(),
    ),
    defaults=defaults.pod,
    prepare_create=prepare.create,
    prepare_update=prepare.update,
    prepare_status=prepare.status,
    generation=spec_changed,
    grace=grace,
    returns_deleted=True,
    columns=columns.COLUMNS,
    row=columns.row,
    row_conditions=columns.row_conditions,
    selectable=SELECTABLE,
)

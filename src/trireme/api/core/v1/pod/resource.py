"""What a Pod is: its names, its rules and how it is printed.

The rules are in ``defaults``, ``prepare``, ``columns`` and ``rules/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from trireme.api.core.v1.pod import columns, defaults, prepare, warnings
from trireme.api.core.v1.pod.binding import Binding
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.rules import pod, resize, status
from trireme.api.policy.v1.eviction import Eviction
from trireme.machinery.resource import Resource, Subresource, spec_changed
from trireme.machinery.resource import status as status_part

_PART: Final = ("get", "patch", "update")
_STREAM: Final = ("create", "get")


def grace(obj: Pod, requested: int | None) -> int:
    """The grace period in seconds: 0 for a pod that is not scheduled or has ended."""
    if not obj.spec.nodeName or obj.status.phase in ("Failed", "Succeeded"):
        return 0
    period = requested if requested is not None else obj.spec.terminationGracePeriodSeconds or 0
    return period if period >= 0 else 1


SELECTABLE: Final[Mapping[str, Callable[[Pod], str]]] = {
    "spec.nodeName": lambda obj: obj.spec.nodeName,
    # The name of spec.nodeName in the first API versions.
    "spec.host": lambda obj: obj.spec.nodeName,
    "spec.restartPolicy": lambda obj: obj.spec.restartPolicy,
    "spec.schedulerName": lambda obj: obj.spec.schedulerName,
    "spec.serviceAccountName": lambda obj: obj.spec.serviceAccountName,
    "spec.hostNetwork": lambda obj: "true" if obj.spec.hostNetwork else "false",
    "status.phase": lambda obj: obj.status.phase,
    "status.podIP": lambda obj: obj.status.podIPs[0].ip if obj.status.podIPs else "",
    # Accepted by upstream, which gives it no value.
    "status.podIPs": lambda obj: "",
    "status.nominatedNodeName": lambda obj: obj.status.nominatedNodeName,
}

RESOURCE = Resource(
    type=Pod,
    plural="pods",
    short_names=("po",),
    categories=("all",),
    subresources=(
        Subresource("attach", _STREAM, kind="PodAttachOptions"),
        Subresource("binding", ("create",), Binding),
        Subresource(
            "ephemeralcontainers",
            _PART,
            prepare=prepare.ephemeral_containers,
            validate=pod.ephemeral_containers,
        ),
        Subresource("eviction", ("create",), Eviction),
        Subresource("exec", _STREAM, kind="PodExecOptions"),
        Subresource("log", ("get",)),
        Subresource("portforward", _STREAM, kind="PodPortForwardOptions"),
        Subresource(
            "proxy", ("create", "delete", "get", "patch", "update"), kind="PodProxyOptions"
        ),
        Subresource("resize", _PART, prepare=prepare.resize, validate=resize.resize),
        status_part(),
    ),
    defaults=defaults.pod,
    prepare_create=prepare.create,
    prepare_update=prepare.update,
    prepare_status=prepare.status,
    reset_fields={
        "status": ("spec", "metadata.deletionTimestamp", "metadata.ownerReferences"),
        "ephemeralcontainers": (),
        "resize": (),
    },
    validate=pod.create,
    validate_update=pod.update,
    validate_status=status.status,
    warnings=warnings.pod,
    status_warnings=warnings.status,
    generation=spec_changed,
    grace=grace,
    returns_deleted=True,
    columns=columns.COLUMNS,
    printed=columns.Summary,
    row_conditions=columns.row_conditions,
    selectable=SELECTABLE,
    indexed=("spec.nodeName",),
)

"""``pods/<name>/resize``: other CPU and memory for a running pod.

In: the prepared Pod and the stored one. Out: field errors. Called by: the kind's ``RESOURCE``.
Upstream: pkg/apis/core/validation; KEP-1287.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trireme.api.core.v1.pod import aggregate, qos
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.rules import annotations as notes
from trireme.api.core.v1.pod.rules import pod
from trireme.api.rules import Errors
from trireme.machinery import field
from trireme.machinery.field import Path

_RESIZABLE: Final = ("cpu", "memory")
_ONLY: Final = "only cpu and memory resources are mutable"


def resize(new: Pod, old: Pod) -> Errors:
    """Only requests and limits of CPU and memory change, and none is removed."""
    if notes.MIRROR in old.metadata.annotations:
        return [field.forbidden(field.path("[]"), "static pods cannot be resized")]
    if old.spec.os is not None and old.spec.os.name == "windows":
        return [field.forbidden(field.path("[]"), "windows pods cannot be resized")]
    errs: Errors = []
    pod.whole(errs, new)
    at = pod.SPEC
    if qos.of(new.spec) != (old.status.qosClass or qos.of(old.spec)):
        detail = "Pod QOS Class may not change as a result of resizing"
        errs.append(field.invalid(at, new.status.qosClass, detail))
    if not _node_can(old):
        errs.append(field.forbidden(at, "Pod running on node without support for resize"))
    _pod_level(errs, at, new, old)
    if old.status.nodeAllocatableResourceClaimStatuses:
        detail = "pods with node allocatable resource claims cannot be resized"
        errs.append(field.forbidden(at, detail))
    if not _same_containers(errs, at, new, old):
        return errs
    for kind in ("initContainers", "containers"):
        pairs = zip(getattr(new.spec, kind), getattr(old.spec, kind), strict=True)
        for position, (container, was) in enumerate(pairs):
            here = at.child(kind).index(position)
            _none_removed(errs, here.child("resources"), container.resources, was.resources)
            _container(errs, at if kind == "containers" else here, kind, container, was)
    return errs


def _container(errs: Errors, at: Path, kind: str, new: Container, old: Container) -> None:
    if kind == "containers":
        if _with_old_resources(new, old) != old:
            errs.append(field.forbidden(at, _ONLY))
        return
    if _with_old_resources(new, old) != old:
        detail = "only cpu and memory resources for init or sidecar containers are mutable"
        errs.append(field.forbidden(at, detail))
    if new == old or aggregate.is_sidecar(new):
        return
    for policy in new.resizePolicy:
        if policy.restartPolicy == "RestartContainer":
            detail = (
                "non-sidecar init containers with a resize policy of RestartContainer cannot be "
                "resized"
            )
            errs.append(field.forbidden(at, detail))


def _node_can(old: Pod) -> bool:
    """Whether the kubelet reports resources, as those do that resize; unknown counts as true."""
    for status in old.status.containerStatuses:
        if status.state.running is not None:
            return status.resources is not None
    return True


def _same_containers(errs: Errors, at: Path, new: Pod, old: Pod) -> bool:
    before = len(errs)
    for kind in ("containers", "initContainers"):
        items, was = getattr(new.spec, kind), getattr(old.spec, kind)
        if len(items) != len(was):
            detail = f"{kind} may not be added or removed on resize"
            errs.append(field.forbidden(at.child(kind), detail))
            continue
        for position, (item, other) in enumerate(zip(items, was, strict=True)):
            if item.name != other.name:
                where = at.child(kind).index(position).child("name")
                detail = f"{kind} may not be renamed or reordered on resize"
                errs.append(field.forbidden(where, detail))
    return len(errs) == before


def _pod_level(errs: Errors, at: Path, new: Pod, old: Pod) -> None:
    after, before = new.spec.resources, old.spec.resources
    if before is not None and after is None:
        detail = "pod-level resources cannot be removed"
        errs.append(field.forbidden(at.child("resources"), detail))
        return
    if after is None:
        return
    if before is not None:
        here = at.child("resources")
        for side in ("requests", "limits"):
            if _removed(getattr(after, side), getattr(before, side)):
                detail = f"pod-level resource {side} cannot be removed"
                errs.append(field.forbidden(here.child(side), detail))
    if _rest(after) != _rest(before or ResourceRequirements()):
        detail = "only cpu and memory resources are mutable at pod-level"
        errs.append(field.forbidden(at, detail))


def _none_removed(
    errs: Errors, at: Path, new: ResourceRequirements, old: ResourceRequirements
) -> None:
    for side in ("requests", "limits"):
        if _removed(getattr(new, side), getattr(old, side)):
            errs.append(field.forbidden(at.child(side), f"resource {side} cannot be removed"))


def _removed(new: Mapping[str, str], old: Mapping[str, str]) -> bool:
    return any(name not in new for name in old)


def _rest(resources: ResourceRequirements) -> tuple[object, ...]:
    """The resources that may not change."""
    sides = (resources.requests, resources.limits)
    fixed = [{k: v for k, v in side.items() if k not in _RESIZABLE} for side in sides]
    return (*fixed, resources.claims)


def _with_old_resources(new: Container, old: Container) -> Container:
    """``new`` with the resources of ``old`` where those may change."""
    values = {name: getattr(new, name) for name in Container.__struct_fields__}
    if _rest(new.resources) == _rest(old.resources):
        values["resources"] = old.resources
    return Container(**values)

"""``pods/<name>/status``: what kubelets and controllers may report.

In: the prepared Pod and the stored one. Out: field errors. Called by: the kind's ``RESOURCE``.
Upstream: pkg/apis/core/validation;
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from trireme.api import rules
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.rules import annotations as notes
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.status import ContainerStatus, LinuxContainerUser
from trireme.api.rules import Errors
from trireme.machinery import field, names, quantity
from trireme.machinery.field import Path

_STATUS: Final = field.path("status")
_ANNOTATIONS: Final = field.path("metadata", "annotations")
_SYSTEM_CONDITIONS: Final = frozenset(("PodScheduled", "Ready", "Initialized"))
_HEALTH: Final = ("Healthy", "Unhealthy", "Unknown")
_MAX_HEALTH_MESSAGE: Final = 1024
_NOT_NEGATIVE: Final = "must be a non-negative integer"


def status(new: Pod, old: Pod) -> Errors:
    """A change of the status."""
    errs: Errors = []
    meta, now, was = new.metadata, new.status, old.status
    notes.known(errs, _ANNOTATIONS, meta.annotations, new.spec)
    notes.changed(errs, _ANNOTATIONS, meta.annotations, old.metadata.annotations)
    _conditions(errs, new)
    _nominated(errs, new, old)
    if now.observedGeneration < 0:
        where = _STATUS.child("observedGeneration")
        errs.append(field.invalid(where, now.observedGeneration, _NOT_NEGATIVE))
    rules.unchanged(errs, _STATUS, "qosClass", now.qosClass, was.qosClass)
    _transitions(errs, new, old)
    if now.resourceClaimStatuses:
        _claims(errs, new)
    if now.extendedResourceClaimStatus is not None:
        _extended(errs, new)
    if now.nodeAllocatableResourceClaimStatuses:
        _allocatable(errs, new)
    _addresses(errs, "podIPs", [item.ip for item in now.podIPs], [i.ip for i in was.podIPs], now)
    if now.hostIPs:
        if now.hostIP != now.hostIPs[0].ip:
            where = _STATUS.child("hostIPs").index(0).child("ip")
            errs.append(field.invalid(where, now.hostIPs[0].ip, "must be equal to `hostIP`"))
        host = [item.ip for item in now.hostIPs]
        _addresses(errs, "hostIPs", host, [item.ip for item in was.hostIPs], now)
    for kind, containers in (
        ("containerStatuses", new.spec.containers),
        ("initContainerStatuses", new.spec.initContainers),
        ("ephemeralContainerStatuses", None),
    ):
        for position, item in enumerate(getattr(now, kind)):
            if item.user is not None or item.allocatedResourcesStatus:
                here = _STATUS.child(kind).index(position)
                _user(errs, here, item, new.spec)
                _allocated(errs, here, item, containers)
    return errs


def _conditions(errs: Errors, pod: Pod) -> None:
    for position, item in enumerate(pod.status.conditions):
        if item.observedGeneration < 0:
            where = _STATUS.child("conditions").index(position).child("observedGeneration")
            errs.append(field.invalid(where, item.observedGeneration, _NOT_NEGATIVE))
        if item.type not in _SYSTEM_CONDITIONS:
            messages = names.is_qualified_name(item.type)
            if messages:
                where = _STATUS.child("conditions").index(position).child("Type")
                rules.add(errs, where, item.type, messages)


def _nominated(errs: Errors, new: Pod, old: Pod) -> None:
    name = new.status.nominatedNodeName
    if not name or name == old.status.nominatedNodeName:
        return
    rules.syntax(errs, _STATUS, "nominatedNodeName", name, names.is_dns1123_subdomain)
    if old.spec.nodeName:
        detail = "may not be set on pods that are already bound to a node"
        errs.append(field.forbidden(_STATUS.child("nominatedNodeName"), detail))


def _transitions(errs: Errors, new: Pod, old: Pod) -> None:
    """A terminated container that is not restarted stays terminated."""
    spec = old.spec
    all_may = any(
        rule.action == "RestartAllContainers"
        for container in (*spec.initContainers, *spec.containers)
        for rule in container.restartPolicyRules
    )
    for kind, containers in (
        ("containerStatuses", spec.containers),
        ("initContainerStatuses", spec.initContainers),
        ("ephemeralContainerStatuses", None),
    ):
        if all_may and containers is not None:
            continue
        for position, was in enumerate(getattr(old.status, kind)):
            ended = was.state.terminated
            if ended is None:
                continue
            now = next((item for item in getattr(new.status, kind) if item.name == was.name), None)
            if now is None or now.state.terminated is not None:
                continue
            found = [item for item in containers or () if item.name == was.name]
            if not found or not _restarts(found[0], spec, ended.exitCode):
                where = _STATUS.child(kind).index(position).child("state")
                detail = "may not be transitioned to non-terminated state"
                errs.append(field.forbidden(where, detail))


def _restarts(container: Container, spec: PodSpec, exit_code: int) -> bool:
    policy = spec.restartPolicy
    if container.restartPolicy is not None:
        for rule in container.restartPolicyRules:
            codes = rule.exitCodes
            if codes is not None and (exit_code in codes.values) == (codes.operator == "In"):
                return True
        policy = container.restartPolicy
    return exit_code != 0 if policy == "OnFailure" else policy != "Never"


def _claims(errs: Errors, pod: Pod) -> None:
    known = {claim.name for claim in pod.spec.resourceClaims}
    used: set[str] = set()
    for position, item in enumerate(pod.status.resourceClaimStatuses):
        here = _STATUS.child("resourceClaimStatuses").index(position)
        if item.name not in known:
            detail = "must match the name of an entry in `spec.resourceClaims`"
            errs.append(field.invalid(here.child("name"), item.name, detail))
        if item.name in used:
            errs.append(field.duplicate(here.child("name"), item.name))
        used.add(item.name)
        if item.resourceClaimName is not None:
            check = names.is_dns1123_subdomain
            rules.syntax(errs, here, "resourceClaimName", item.resourceClaimName, check)


def _extended(errs: Errors, pod: Pod) -> None:
    at, value = _STATUS.child("extendedResourceClaimStatus"), pod.status.extendedResourceClaimStatus
    assert value is not None
    containers = {item.name: item for item in (*pod.spec.initContainers, *pod.spec.containers)}
    if not value.requestMappings:
        detail = "at least one request mapping is required"
        errs.append(field.required(at.child("requestMappings"), detail))
    used: set[tuple[str, str, str]] = set()
    for position, item in enumerate(value.requestMappings):
        here = at.child("requestMappings").index(position)
        container = containers.get(item.containerName)
        if container is None:
            detail = (
                "must match the name of an entry in spec.initContainers.name or "
                "spec.containers.name"
            )
            errs.append(field.invalid(here.child("containerName"), item.containerName, detail))
        elif item.resourceName not in container.resources.requests:
            detail = (
                "must match the extended resource name of an entry in "
                "spec.initContainers.resources.requests or spec.containers.resources.requests"
            )
            errs.append(field.invalid(here.child("resourceName"), item.resourceName, detail))
        rules.syntax(errs, at, "requestName", item.requestName, names.is_dns1123_label)
        key = (item.containerName, item.resourceName, item.requestName)
        if key in used:
            for name in ("containerName", "resourceName", "requestName"):
                errs.append(field.duplicate(here.child(name), getattr(item, name)))
        used.add(key)
    check = names.is_dns1123_subdomain
    rules.required_syntax(errs, at, "resourceClaimName", value.resourceClaimName, check)


def _allocatable(errs: Errors, pod: Pod) -> None:
    known = {claim.resourceClaimName for claim in pod.spec.resourceClaims}
    known |= {claim.resourceClaimName for claim in pod.status.resourceClaimStatuses}
    at = _STATUS.child("nodeAllocatableResourceClaimStatuses")
    for position, item in enumerate(pod.status.nodeAllocatableResourceClaimStatuses):
        here, name = at.index(position), item.resourceClaimName
        rules.required(errs, here, "resourceClaimName", name, "must not be empty")
        if name not in known:
            detail = "no mapping found in pod reference"
            errs.append(field.invalid(here.child("resourceClaimName"), name, detail))
        rules.required(errs, here, "containers", item.containers, "must not be empty")
        rules.required(errs, here, "resources", item.resources, "must not be empty")
        for resource, text in item.resources.items():
            where = here.child("resources").key(resource)
            if "/" in resource and "kubernetes.io/" not in resource:
                detail = "must be a node allocatable resource name"
                errs.append(field.invalid(where, resource, detail))
            if quantity.parse(text).nanos < 0:
                errs.append(field.invalid(where, text, "must be non-negative"))


def _addresses(errs: Errors, name: str, new: list[str], old: list[str], reported: Any) -> None:
    for position, address in enumerate(new):
        if address not in old:
            messages = names.is_legacy_ip(address)
            if messages:
                where = _STATUS.child(name).index(position)
                rules.add(errs, where, address, messages)
    if len(new) > 1 and (len(new) > 2 or not rules.is_dual_stack(new)):
        detail = "may specify no more than one IP for each IP family"
        errs.append(field.invalid(_STATUS.child(name), getattr(reported, name), detail))


def _user(errs: Errors, at: Path, item: ContainerStatus, spec: PodSpec) -> None:
    user: LinuxContainerUser | None = item.user.linux if item.user is not None else None
    if user is None:
        return
    here = at.child("user", "linux")
    if spec.os is not None and spec.os.name == "windows":
        errs.append(field.forbidden(here, "cannot be set for a windows pod"))
        return
    rules.add(errs, here.child("uid"), user.uid, names.is_user_id(user.uid))
    rules.add(errs, here.child("gid"), user.gid, names.is_group_id(user.gid))
    for position, group in enumerate(user.supplementalGroups):
        where = here.child("supplementalGroups").index(position)
        rules.add(errs, where, group, names.is_group_id(group))


def _allocated(
    errs: Errors, at: Path, item: ContainerStatus, containers: Sequence[Container] | None
) -> None:
    where = at.child("allocatedResourcesStatus")
    if containers is None:
        if item.allocatedResourcesStatus:
            errs.append(field.forbidden(where, "must not be specified in container status"))
        return
    container = next((one for one in containers if one.name == item.name), None)
    for position, resource in enumerate(item.allocatedResourcesStatus):
        here = where.index(position)
        if container is not None:
            _is_asked_for(errs, here, resource.name, container)
        used: set[str] = set()
        for number, health in enumerate(resource.resources):
            below = here.child("resources").index(number)
            rules.one_of(errs, below, "health", health.health, _HEALTH)
            if health.message == "":
                detail = "must be non-empty if specified"
                errs.append(field.required(below.child("message"), detail))
            elif health.message and len(health.message.encode()) > _MAX_HEALTH_MESSAGE:
                errs.append(field.too_long(below.child("message"), _MAX_HEALTH_MESSAGE))
            if health.resourceID in used:
                errs.append(field.duplicate(below.child("resourceID"), health.resourceID))
            used.add(health.resourceID)


def _is_asked_for(errs: Errors, at: Path, name: str, container: Container) -> None:
    if name.startswith("claim:"):
        claims = {
            f"claim:{claim.name}/{claim.request}" if claim.request else f"claim:{claim.name}"
            for claim in container.resources.claims
        }
        if name not in claims:
            detail = (
                "must match one of the container's resource claims in a format "
                "'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
            )
            errs.append(field.invalid(at.child("name"), name, detail))
    elif name not in container.resources.requests:
        detail = "must match one of the container's resource requests"
        errs.append(field.invalid(at.child("name"), name, detail))

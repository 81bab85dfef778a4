"""The PodSpec as a whole, of a Pod and of a template alike.

In: a defaulted PodSpec. Out: errors on the list given. Called by: ``pod``, ``template``. The parts
are in the other modules here. Upstream: pkg/apis/core/validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trireme.api import rules
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.rules import (
    containers,
    network,
    placement,
    resources,
    security,
    volumes,
    windows,
)
from trireme.api.core.v1.pod.rules.context import PodContext
from trireme.api.core.v1.pod.spec import PodResourceClaim, PodSpec
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_PREEMPTION: Final = ("PreemptLowerPriority", "Never")
_INT32_MAX: Final = 2**31 - 1
_NAMES: Final = ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName")


def validate(
    errs: Errors, at: Path, spec: PodSpec, *, is_pod: bool, pod_name: str = "", mirror: bool = False
) -> None:
    """The spec of a Pod, or of a template (``is_pod`` false). ``mirror``: of a static pod."""
    context = PodContext(
        is_pod=is_pod,
        grace=spec.terminationGracePeriodSeconds,
        restart_policy=spec.restartPolicy,
        host_users=spec.hostUsers is not False,
        os=spec.os.name if spec.os is not None else "",
        has_os=spec.os is not None,
        pod_name=pod_name,
    )
    if spec.terminationGracePeriodSeconds is None:
        errs.append(field.required(at.child("terminationGracePeriodSeconds")))
    if spec.volumes:
        volumes.volumes(errs, at.child("volumes"), spec.volumes, context)
    if spec.resourceClaims:
        context.claims = frozenset(item.name for item in spec.resourceClaims if item.name)
        _claims(errs, at.child("resourceClaims"), spec.resourceClaims, mirror)
    containers.regular(errs, at.child("containers"), spec, context)
    if spec.initContainers:
        containers.initial(errs, at.child("initContainers"), spec, context)
    if spec.ephemeralContainers:
        containers.ephemeral(errs, at.child("ephemeralContainers"), spec, context)
    if spec.resources is not None:
        resources.of_pod(errs, at.child("resources"), spec, context)
    network.host_ports(errs, at, spec, context)
    rules.declared(errs, at, spec, "restartPolicy", "dnsPolicy")
    if spec.nodeSelector:
        rules.labels(errs, at.child("nodeSelector"), spec.nodeSelector)
    security.of_pod(errs, at.child("securityContext"), spec)
    _scheduling(errs, at, spec)
    if spec.dnsConfig is not None or spec.dnsPolicy == "None":
        network.dns(errs, at.child("dnsConfig"), spec)
    for position, gate in enumerate(spec.readinessGates):
        here = at.child("readinessGates").index(position)
        check = names.is_qualified_name
        rules.syntax(errs, here, "conditionType", gate.conditionType, check)
    windows.host_process(errs, at, spec)
    security.host_users(errs, at, spec)
    network.host_name(errs, at, spec)
    _names_and_numbers(errs, at, spec)
    if spec.hostAliases:
        network.host_aliases(errs, at.child("hostAliases"), spec.hostAliases)
    if spec.overhead:
        as_limits = ResourceRequirements(limits=spec.overhead)
        resources.of_container(errs, at.child("overhead"), as_limits, frozenset())
    if spec.os is not None:
        windows.system(errs, at, spec)
    if spec.schedulingGroup is not None:
        _scheduling_group(errs, at.child("schedulingGroup", "podGroupName"), spec)
    _file_keys(errs, at, spec)


def _scheduling(errs: Errors, at: Path, spec: PodSpec) -> None:
    if spec.affinity is not None:
        placement.affinity(errs, at.child("affinity"), spec.affinity)
    if spec.schedulingGates:
        placement.gates(errs, at.child("schedulingGates"), spec.schedulingGates)
    if spec.topologySpreadConstraints:
        here = at.child("topologySpreadConstraints")
        placement.spread(errs, here, spec.topologySpreadConstraints)
    if spec.tolerations:
        placement.tolerations(errs, at.child("tolerations"), spec.tolerations)


def _names_and_numbers(errs: Errors, at: Path, spec: PodSpec) -> None:
    for name in _NAMES:
        text = getattr(spec, name)
        if text:
            rules.syntax(errs, at, name, text, names.is_dns1123_subdomain)
    deadline = spec.activeDeadlineSeconds
    if deadline is not None and not 1 <= deadline <= _INT32_MAX:
        where = at.child("activeDeadlineSeconds")
        rules.add(errs, where, deadline, names.is_in_range(deadline, 1, _INT32_MAX))
    policy = spec.preemptionPolicy
    if policy is not None:
        rules.required_one_of(errs, at, "preemptionPolicy", policy, _PREEMPTION)


def _claims(errs: Errors, at: Path, items: Sequence[PodResourceClaim], mirror: bool) -> None:
    used: set[str] = set()
    for position, item in enumerate(items):
        if mirror:
            errs.append(
                field.forbidden(field.path("[]"), "static pods do not support resource claims")
            )
            continue
        here = at.index(position)
        if not item.name:
            errs.append(field.required(here.child("name")))
        elif item.name in used:
            errs.append(field.duplicate(here.child("name"), item.name))
        else:
            rules.syntax(errs, here, "name", item.name, names.is_dns1123_label)
            used.add(item.name)
        claim, template = item.resourceClaimName, item.resourceClaimTemplateName
        if claim is not None and template is not None:
            detail = (
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            )
            errs.append(field.invalid(here, item, detail))
        if claim is None and template is None:
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errs.append(field.invalid(here, item, detail))
        for name in ("resourceClaimName", "resourceClaimTemplateName"):
            text = getattr(item, name)
            if text is not None:
                rules.syntax(errs, here, name, text, names.is_dns1123_subdomain)


def _scheduling_group(errs: Errors, at: Path, spec: PodSpec) -> None:
    assert spec.schedulingGroup is not None
    name = spec.schedulingGroup.podGroupName
    if name is None:
        errs.append(field.invalid(at, None, "must specify one of: `podGroupName`"))
    else:
        rules.add(errs, at, name, names.is_dns1123_subdomain(name))


def _file_keys(errs: Errors, at: Path, spec: PodSpec) -> None:
    """Variables from a file: the file's volume is an emptyDir of the pod."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for position, container in enumerate(getattr(spec, kind)):
            for number, variable in enumerate(container.env):
                if variable.valueFrom is None or variable.valueFrom.fileKeyRef is None:
                    continue
                name = variable.valueFrom.fileKeyRef.volumeName
                where = at.child(kind).index(position).child("env").index(number)
                where = where.child("valueFrom", "fileKeyRef", "volumeName")
                found = [volume for volume in spec.volumes if volume.name == name]
                if not found:
                    errs.append(field.not_found(where, name))
                elif found[-1].emptyDir is None:
                    detail = "referenced volume must be of type emptyDir"
                    errs.append(field.invalid(where, name, detail))

"""Warnings for pods and pod templates that are valid.

In: defaulted and prepared pods and templates, and where the template stands. Out: texts. Called by:
the ``warnings`` of Pod and of every kind with a template. Upstream: pkg/api/pod/warnings.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Final

from trireme.api import addresses, quantities
from trireme.api.core.v1 import node_labels, volume_warnings
from trireme.api.core.v1 import persistentvolumeclaim as claims
from trireme.api.core.v1.pod import overlaps
from trireme.api.core.v1.pod.container import Container, ContainerPort, EnvVar
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.prepare import APPARMOR_ANNOTATION, USE_APPARMOR, apparmor_profile
from trireme.api.core.v1.pod.rules.annotations import SECCOMP_CONTAINER, SECCOMP_POD
from trireme.api.core.v1.pod.scheduling import PodAffinity, PodAntiAffinity
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.machinery import field, gotext, names
from trireme.machinery.field import Path
from trireme.machinery.meta import ObjectMeta

_ANNOTATIONS: Final = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": (
        'non-functional in v1.11+; use the "sysctls" field instead'
    ),
    "security.alpha.kubernetes.io/unsafe-sysctls": (
        'non-functional in v1.11+; use the "sysctls" field instead'
    ),
}
TEMPLATE: Final = field.path("spec", "template")
_USE_SECCOMP: Final = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_NO_SELECTOR: Final = "a null labelSelector results in matching no pod"
_IN_BYTES: Final = ("memory", "ephemeral-storage")
# Clashes of ports that are reported. A header carries fewer, and there may be millions.
_MOST: Final = 500
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"

Found = list[str]


def pod(new: Pod, old: Pod | None) -> Found:
    """A new pod; updates get no warnings."""
    if old is not None:
        return []
    found = named(new.metadata.name, "the Pod's hostname")
    _whole(found, field.path(), new.metadata, new.spec, is_pod=True)
    return found


def status(new: Pod, _old: Pod) -> Found:
    """Addresses that are not in canonical form."""
    at = field.path("status", "podIPs")
    found: Found = []
    for position, item in enumerate(new.status.podIPs):
        found += addresses.ip_warnings(at.index(position).child("ip"), item.ip)
    return found


def template(at: Path, value: PodTemplateSpec) -> Found:
    """A template of pods at ``at``."""
    found: Found = []
    _whole(found, at, value.metadata, value.spec, is_pod=False)
    return found


def workload(new: Any, old: Any) -> Found:
    """An object that makes pods of ``spec.template``: its name, and what it asks for."""
    found = named(new.metadata.name) if old is None else []
    return found + (template(TEMPLATE, new.spec.template) if is_other(new, old) else [])


def is_other(new: Any, old: Any) -> bool:
    """Whether the spec of an object is new or changed."""
    return old is None or bool(new.metadata.generation != old.metadata.generation)


def named(name: str, used_in: str = "Pod names and hostnames") -> Found:
    """A name that is no DNS label, of an object whose pods have it in theirs."""
    problems = names.is_dns1123_label(name)
    if not problems:
        return []
    return [
        f"metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS "
        f"label is recommended: {gotext.plain(problems)}"
    ]


def _whole(found: Found, at: Path, meta: ObjectMeta, spec: PodSpec, is_pod: bool) -> None:
    here = at.child("spec")
    _nodes(found, here, spec)
    if meta.annotations:
        for key, detail in _ANNOTATIONS.items():
            if key in meta.annotations:
                found.append(f"{at.child('metadata', 'annotations').key(key)}: {detail}")
    if spec.volumes:
        _volumes(found, here.child("volumes"), spec)
    if spec.hostAliases or spec.imagePullSecrets:
        _named_twice(found, here, spec)
    if spec.overhead:
        found += quantities.byte_warnings(here.child("overhead"), spec.overhead, *_IN_BYTES)
    _containers(found, at, meta, spec, is_pod)
    _ports(found, here, spec)
    if (spec.terminationGracePeriodSeconds or 0) < 0:
        found.append(
            f"{here.child('terminationGracePeriodSeconds')}: must be >= 0; negative values are "
            "invalid and will be treated as 1"
        )
    if spec.affinity is not None:
        where = here.child("affinity")
        _pods(found, where.child("podAffinity"), spec.affinity.podAffinity)
        _pods(found, where.child("podAntiAffinity"), spec.affinity.podAntiAffinity)
    if spec.dnsConfig is not None:
        for position, text in enumerate(spec.dnsConfig.nameservers):
            where = here.child("dnsConfig", "nameservers").index(position)
            found += addresses.ip_warnings(where, text)
    for position, alias in enumerate(spec.hostAliases):
        where = here.child("hostAliases").index(position).child("ip")
        found += addresses.ip_warnings(where, alias.ip)


def _nodes(found: Found, at: Path, spec: PodSpec) -> None:
    """Deprecated labels that select nodes; constraints that select no pods."""
    deprecated = node_labels.DEPRECATED
    for key in spec.nodeSelector:
        if key in deprecated:
            found.append(f"{at.child('nodeSelector').key(key)}: {deprecated[key]}")
    nodes = None if spec.affinity is None else spec.affinity.nodeAffinity
    if nodes is not None:
        here = at.child("affinity", "nodeAffinity")
        required = nodes.requiredDuringSchedulingIgnoredDuringExecution
        for position, term in enumerate(required.nodeSelectorTerms if required else ()):
            where = here.child(_REQUIRED, "nodeSelectorTerms").index(position)
            found += node_labels.term_warnings(where, term, check_values=False)
        for position, item in enumerate(nodes.preferredDuringSchedulingIgnoredDuringExecution):
            where = here.child(_PREFERRED).index(position).child("preference")
            found += node_labels.term_warnings(where, item.preference, check_values=True)
    for position, constraint in enumerate(spec.topologySpreadConstraints):
        here, key = at.child("topologySpreadConstraints").index(position), constraint.topologyKey
        if key in deprecated:
            found.append(f"{here.child('topologyKey')}: {key} is {deprecated[key]}")
        if constraint.labelSelector is None:
            found.append(f"{here.child('labelSelector')}: {_NO_SELECTOR}")


def _volumes(found: Found, at: Path, spec: PodSpec) -> None:
    for position, volume in enumerate(spec.volumes):
        if volume_warnings.is_usual(volume):
            continue
        here = at.index(position)
        found += volume_warnings.in_pod(here, volume)
        made = volume.ephemeral.volumeClaimTemplate if volume.ephemeral is not None else None
        if made is not None:
            where = here.child("ephemeral", "volumeClaimTemplate", "spec")
            found += claims.spec_warnings(where, made.spec)
    found += overlaps.warnings(spec.volumes)


def _named_twice(found: Found, at: Path, spec: PodSpec) -> None:
    """Aliases and secrets of one name, and secrets without one."""
    used: set[str] = set()
    for position, alias in enumerate(spec.hostAliases):
        if alias.ip in used:
            where = at.child("hostAliases").index(position).child("ip")
            found.append(f"{where}: duplicate ip {gotext.quote(alias.ip)}")
        used.add(alias.ip)
    used = set()
    nameless: Found = []
    for position, secret in enumerate(spec.imagePullSecrets):
        where = at.child("imagePullSecrets").index(position).child("name")
        if secret.name in used:
            found.append(f"{where}: duplicate name {gotext.quote(secret.name)}")
        used.add(secret.name)
        if not secret.name:
            nameless.append(f'{where}: invalid empty name ""')
    found += nameless


def _containers(found: Found, at: Path, meta: ObjectMeta, spec: PodSpec, is_pod: bool) -> None:
    annotations, context = meta.annotations, spec.securityContext
    where = at.child("metadata", "annotations") if annotations else at
    if SECCOMP_POD in annotations and (context is None or context.seccompProfile is None):
        found.append(f"{where.key(SECCOMP_POD)}: {_USE_SECCOMP}")
    for kind, position, container in _all_containers(spec):
        if annotations:
            _annotated(found, where, annotations, container, spec, is_pod)
        requested = container.resources
        if not all(
            quantities.are_whole(part, *_IN_BYTES)
            for part in (requested.limits, requested.requests)
        ):
            place = at.child("spec", kind).index(position).child("resources")
            for name in _IN_BYTES:
                found += quantities.byte_warnings(place.child("limits"), requested.limits, name)
                found += quantities.byte_warnings(place.child("requests"), requested.requests, name)
        if len(container.env) > 1:
            here = at.child("spec", kind).index(position)
            _overridden(found, here.child("env"), container.env)


def _all_containers(spec: PodSpec) -> Iterator[tuple[str, int, Container]]:
    # Ephemeral containers come later, by a subresource without warnings.
    for kind in ("initContainers", "containers"):
        for position, container in enumerate(getattr(spec, kind)):
            yield kind, position, container


def _annotated(
    found: Found,
    at: Path,
    annotations: dict[str, str],
    container: Container,
    spec: PodSpec,
    is_pod: bool,
) -> None:
    """Annotations about one container whose field is not set."""
    own, key = container.securityContext, SECCOMP_CONTAINER + container.name
    if key in annotations and (own is None or own.seccompProfile is None):
        found.append(f"{at.key(key)}: {_USE_SECCOMP}")
    # Those of a pod were copied to the fields, with a warning, before.
    key = APPARMOR_ANNOTATION + container.name
    if is_pod or key not in annotations or (own is not None and own.appArmorProfile is not None):
        return
    of_pod = spec.securityContext.appArmorProfile if spec.securityContext is not None else None
    if of_pod is None or of_pod != apparmor_profile(annotations[key]):
        found.append(f"{at.key(key)}: {USE_APPARMOR}")


def _overridden(found: Found, at: Path, env: list[EnvVar]) -> None:
    """Variables that are set again without a reference to the former value."""
    used: set[str] = set()
    for position, item in enumerate(env):
        if item.name in used:
            before = f"$({item.name})"
            if item.valueFrom is not None or item.value == before or before not in item.value:
                found.append(
                    f"{at.index(position)}: hides previous definition of "
                    f"{gotext.quote(item.name)}, which may be dropped when using apply"
                )
        used.add(item.name)


def _ports(found: Found, at: Path, spec: PodSpec) -> None:
    """Ports that are, or may be, one and the same; names of ports that are not unique."""
    every = [port for _, _, container in _all_containers(spec) for port in container.ports]
    if len(every) < 2 and not any(port.hostIP for port in every):
        return
    ports = [
        (at.child(kind).index(position).child("ports").index(number), port)
        for kind, position, container in _all_containers(spec)
        for number, port in enumerate(container.ports)
    ]
    _clashes(found, ports)
    by_name: dict[str, Path] = {}
    for where, port in ports:
        if port.name in by_name:
            first = by_name[port.name]
            found.append(
                f"{where}: duplicate port name {gotext.quote(port.name)} with {first}, services "
                f"and probes that select ports by name will use {first}"
            )
        elif port.name:
            by_name[port.name] = where


def _clashes(found: Found, ports: list[tuple[Path, ContainerPort]]) -> None:
    """Which ports may be one and the same. Only those that are get compared."""
    most = len(found) + _MOST
    # By number and protocol, by the host's port, by the host's address: the places in ``ports``.
    taken: dict[tuple[int, str], dict[int, dict[str, list[int]]]] = {}
    for place, (where, port) in enumerate(ports):
        if port.hostIP and not port.hostPort:
            found.append(f"{where}: hostIP set without hostPort: {_port_text(port)}")
        others = taken.setdefault((port.containerPort, port.protocol), {})
        for other in _near(others, port):
            how = _clash(port, ports[other][1])
            found.append(f"{where}: {how} port definition with {ports[other][0]}")
        if len(found) > most:
            return
        others.setdefault(port.hostPort, {}).setdefault(port.hostIP, []).append(place)


def _near(others: dict[int, dict[str, list[int]]], port: ContainerPort) -> list[int]:
    """The places of those that clash with a port, of all with its number and protocol."""
    groups: list[Iterable[int]]
    if not port.hostPort:
        groups = [group for by_address in others.values() for group in by_address.values()]
    else:
        same = others.get(port.hostPort, {})
        alike = same.values() if not port.hostIP else (same.get(port.hostIP, ()), same.get("", ()))
        groups = [*others.get(0, {}).values(), *alike]
    return sorted(chain.from_iterable(groups))


def _clash(one: ContainerPort, other: ContainerPort) -> str:
    """How two ports clash of which one is in ``_near`` of the other."""
    if one.hostIP == other.hostIP and one.hostPort == other.hostPort:
        return "duplicate"
    on_host = one.hostPort and one.hostPort == other.hostPort
    return "dangerously ambiguous" if on_host else "overlapping"


def _port_text(port: ContainerPort) -> str:
    """A port as Go prints the struct."""
    return (
        f"{{Name:{port.name} HostPort:{port.hostPort} ContainerPort:{port.containerPort} "
        f"Protocol:{port.protocol} HostIP:{port.hostIP}}}"
    )


def _pods(found: Found, at: Path, affinity: PodAffinity | PodAntiAffinity | None) -> None:
    """Terms that match no pod."""
    if affinity is None:
        return
    for position, term in enumerate(affinity.requiredDuringSchedulingIgnoredDuringExecution):
        if term.labelSelector is None:
            where = at.child(_REQUIRED).index(position).child("labelSelector")
            found.append(f"{where}: {_NO_SELECTOR}")
    for position, item in enumerate(affinity.preferredDuringSchedulingIgnoredDuringExecution):
        if item.podAffinityTerm.labelSelector is None:
            where = at.child(_PREFERRED).index(position).child("podAffinityTerm", "labelSelector")
            found.append(f"{where}: {_NO_SELECTOR}")

"""The containers of a pod: regular, init and ephemeral ones.

In: the lists of a PodSpec. Out: errors on the list given. Called by: ``spec``. Upstream:
pkg/apis/core/validation; https://kubernetes.io/docs/concepts/workloads/pods/.
"""

from __future__ import annotations

from typing import Final

from trireme.api import rules
from trireme.api.core.v1.pod import aggregate
from trireme.api.core.v1.pod.container import Container, ContainerPort, EphemeralContainer
from trireme.api.core.v1.pod.rules import env, handlers, mounts, resources, security
from trireme.api.core.v1.pod.rules.context import PodContext
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
_RESTART_ACTIONS: Final = ("Restart", "RestartAllContainers")
_EXIT_CODE_OPERATORS: Final = ("In", "NotIn")
_MAX_RESTART_RULES: Final = 20
_MAX_EXIT_CODES: Final = 255
_NOT_FOR_INIT: Final = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
_NOT_FOR_EPHEMERAL: Final = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)


def regular(errs: Errors, at: Path, spec: PodSpec, context: PodContext) -> None:
    """``containers``."""
    if not spec.containers:
        errs.append(field.required(at))
        return
    used: set[str] = set()
    for position, container in enumerate(spec.containers):
        here = at.index(position)
        _common(errs, here, container, context)
        if container.name in used:
            errs.append(field.duplicate(here.child("name"), container.name))
        used.add(container.name)
        if container.lifecycle is not None:
            handlers.lifecycle(errs, here.child("lifecycle"), container.lifecycle, context)
        handlers.probes(errs, here, container, context)
        _restart_policy(errs, here, container)
    _unique_host_ports(errs, at, spec.containers)


def initial(errs: Errors, at: Path, spec: PodSpec, context: PodContext) -> None:
    """``initContainers``, sidecars among them."""
    used = {container.name for container in spec.containers}
    for position, container in enumerate(spec.initContainers):
        here = at.index(position)
        _common(errs, here, container, context)
        _restart_policy(errs, here, container)
        if container.name in used:
            errs.append(field.duplicate(here.child("name"), container.name))
        elif container.name:
            used.add(container.name)
        # Init containers run one by one, so each is validated alone.
        _unique_host_ports(errs, at, [container])
        if aggregate.is_sidecar(container):
            if container.lifecycle is not None:
                handlers.lifecycle(errs, here.child("lifecycle"), container.lifecycle, context)
            handlers.probes(errs, here, container, context)
            continue
        for name in _NOT_FOR_INIT:
            if getattr(container, name) is not None:
                detail = "may not be set for init containers without restartPolicy=Always"
                errs.append(field.forbidden(here.child(name), detail))
        for number, policy in enumerate(container.resizePolicy):
            if policy.restartPolicy == "RestartContainer":
                where = here.child("resizePolicy").index(number).child("restartPolicy")
                detail = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                errs.append(field.invalid(where, policy.restartPolicy, detail))


def ephemeral(errs: Errors, at: Path, spec: PodSpec, context: PodContext) -> None:
    """``ephemeralContainers``."""
    others = {item.name for item in (*spec.containers, *spec.initContainers)}
    used = set(others)
    for position, container in enumerate(spec.ephemeralContainers):
        here = at.index(position)
        _common(errs, here, container, context)
        image_spaces(errs, here, container)
        if container.name in used:
            errs.append(field.duplicate(here.child("name"), container.name))
        used.add(container.name)
        target = container.targetContainerName
        if target and target not in others:
            errs.append(field.not_found(here.child("targetContainerName"), target))
        unset = EphemeralContainer()
        for name in _NOT_FOR_EPHEMERAL:
            if getattr(container, name) != getattr(unset, name):
                detail = "cannot be set for an Ephemeral Container"
                errs.append(field.forbidden(here.child(name), detail))
        for number, mount in enumerate(container.volumeMounts):
            for name in ("subPath", "subPathExpr"):
                if getattr(mount, name):
                    where = here.child("volumeMounts").index(number).child(name)
                    detail = "cannot be set for an Ephemeral Container"
                    errs.append(field.forbidden(where, detail))


def image_spaces(errs: Errors, at: Path, container: Container) -> None:
    """A pod's image has no white space around it; a template's may."""
    image = container.image
    if image and image != image.strip():
        detail = "must not have leading or trailing whitespace"
        errs.append(field.invalid(at.child("image"), image, detail))


def pull_policy(errs: Errors, parent: Path, name: str, policy: str) -> None:
    """When an image is pulled."""
    rules.required_one_of(errs, parent, name, policy, PULL_POLICIES)


def _common(errs: Errors, at: Path, container: Container, context: PodContext) -> None:
    name = container.name
    if not name:
        errs.append(field.required(at.child("name")))
    else:
        rules.syntax(errs, at, "name", name, names.is_dns1123_label)
    if not container.image:
        errs.append(field.required(at.child("image")))
    rules.declared(errs, at, container, "terminationMessagePolicy")
    if container.ports:
        _ports(errs, at.child("ports"), container.ports)
    if container.env:
        env.variables(errs, at.child("env"), container.env)
    if container.envFrom:
        env.variables_from(errs, at.child("envFrom"), container.envFrom)
    if container.volumeMounts:
        mounts.mounts(errs, at.child("volumeMounts"), container, context)
    if container.volumeDevices:
        mounts.devices(errs, at.child("volumeDevices"), container, context)
    if container.imagePullPolicy not in PULL_POLICIES:
        pull_policy(errs, at, "imagePullPolicy", container.imagePullPolicy)
    requested = container.resources
    if requested.requests or requested.limits or requested.claims:
        resources.of_container(errs, at.child("resources"), requested, context.claims)
    if container.resizePolicy:
        here = at.child("resizePolicy")
        resources.resize_policies(errs, here, container, context.restart_policy)
    if container.securityContext is not None:
        here = at.child("securityContext")
        security.of_container(errs, here, container.securityContext, context)


def _ports(errs: Errors, at: Path, ports: list[ContainerPort]) -> None:
    used: set[str] = set()
    for position, port in enumerate(ports):
        name, number = port.name, port.containerPort
        if name:
            messages = names.is_port_name(name)
            if messages:
                rules.add(errs, at.index(position).child("name"), name, messages)
            elif name in used:
                errs.append(field.duplicate(at.index(position).child("name"), name))
            used.add(name)
        if not 1 <= number <= 65535:
            where = at.index(position).child("containerPort")
            if number:
                rules.add(errs, where, number, names.is_port_number(number))
            else:
                errs.append(field.required(where))
        if port.hostPort and not 1 <= port.hostPort <= 65535:
            where = at.index(position).child("hostPort")
            rules.add(errs, where, port.hostPort, names.is_port_number(port.hostPort))
        if port.protocol not in rules.PROTOCOLS:
            rules.declared(errs, at.index(position), port, "protocol")


def _unique_host_ports(errs: Errors, at: Path, containers: list[Container]) -> None:
    used: set[str] = set()
    for position, container in enumerate(containers):
        for number, port in enumerate(container.ports):
            if not port.hostPort:
                continue
            text = f"{port.protocol}/{port.hostIP}/{port.hostPort}"
            if text in used:
                where = at.index(position).child("ports").index(number).child("hostPort")
                errs.append(field.duplicate(where, text))
            used.add(text)


def _restart_policy(errs: Errors, at: Path, container: Container) -> None:
    policy, items = container.restartPolicy, container.restartPolicyRules
    if policy is None:
        if not items:
            return
        detail = "must specify restartPolicy when restart rules are used"
        errs.append(field.required(at.child("restartPolicy"), detail))
    else:
        rules.declared(errs, at, container, "restartPolicy")
    if len(items) > _MAX_RESTART_RULES:
        where = at.child("restartPolicyRules")
        errs.append(field.too_many(where, len(items), _MAX_RESTART_RULES))
    for position, item in enumerate(items):
        here = at.child("restartPolicyRules").index(position)
        rules.one_of(errs, here, "action", item.action, _RESTART_ACTIONS)
        codes = item.exitCodes
        if codes is None:
            errs.append(field.required(here.child("exitCodes"), "must be specified"))
            continue
        below = here.child("exitCodes")
        rules.one_of(errs, below, "operator", codes.operator, _EXIT_CODE_OPERATORS)
        if len(codes.values) > _MAX_EXIT_CODES:
            errs.append(field.too_many(below.child("values"), len(codes.values), _MAX_EXIT_CODES))

"""Probes and life-cycle hooks of containers.

In: a probe, or a container's ``lifecycle``. Out: errors on the list given. Called by:
``containers``. Upstream: pkg/apis/core/validation;
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/.
"""

from __future__ import annotations

from typing import Final, get_args

from trireme.api import rules
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.probes import (
    HTTPGetAction,
    Lifecycle,
    LifecycleHandler,
    Probe,
    Signal,
    SleepAction,
)
from trireme.api.core.v1.pod.rules.context import PodContext
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_SCHEMES: Final = ("HTTP", "HTTPS")
_COUNTS: Final = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_LINUX_SIGNALS: Final = tuple(sorted(get_args(Signal)[1].values))
_WINDOWS_SIGNALS: Final = ("SIGKILL", "SIGTERM")
_KINDS: Final = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")


def probes(errs: Errors, at: Path, container: Container, context: PodContext) -> None:
    """The three probes of a container."""
    if container.livenessProbe is not None:
        here = at.child("livenessProbe")
        _probe(errs, here, container.livenessProbe, context)
        _succeeds_once(errs, here, container.livenessProbe)
    if container.readinessProbe is not None:
        here = at.child("readinessProbe")
        _probe(errs, here, container.readinessProbe, context)
        period = container.readinessProbe.terminationGracePeriodSeconds
        if period is not None:
            detail = "must not be set for readinessProbes"
            errs.append(field.invalid(here.child("terminationGracePeriodSeconds"), period, detail))
    if container.startupProbe is not None:
        here = at.child("startupProbe")
        _probe(errs, here, container.startupProbe, context)
        _succeeds_once(errs, here, container.startupProbe)


def lifecycle(errs: Errors, at: Path, value: Lifecycle, context: PodContext) -> None:
    """The hooks, and the signal that ends the container."""
    if value.postStart is not None:
        _handler(errs, at.child("postStart"), value.postStart, context)
    if value.preStop is not None:
        _handler(errs, at.child("preStop"), value.preStop, context)
    if value.stopSignal is not None:
        if not context.has_os:
            detail = "may not be set for containers with empty `spec.os.name`"
            errs.append(field.forbidden(at.child("stopSignal"), detail))
        elif context.os == "windows":
            rules.one_of(errs, at, "stopSignal", value.stopSignal, _WINDOWS_SIGNALS)
        elif context.os == "linux":
            rules.one_of(errs, at, "stopSignal", value.stopSignal, _LINUX_SIGNALS)


def _probe(errs: Errors, at: Path, probe: Probe, context: PodContext) -> None:
    _handler(errs, at, probe, context)
    for name in _COUNTS:
        value = getattr(probe, name)
        if value < 0:
            rules.not_negative(errs, at, name, value)
    period = probe.terminationGracePeriodSeconds
    if period is not None and period <= 0:
        detail = "must be greater than 0"
        errs.append(field.invalid(at.child("terminationGracePeriodSeconds"), period, detail))


def _succeeds_once(errs: Errors, at: Path, probe: Probe) -> None:
    if probe.successThreshold != 1:
        where = at.child("successThreshold")
        errs.append(field.invalid(where, probe.successThreshold, "must be 1"))


def _handler(
    errs: Errors, at: Path, handler: Probe | LifecycleHandler, context: PodContext
) -> None:
    count = 0
    for name in _KINDS:
        action = getattr(handler, name, None)
        if action is None:
            continue
        count += 1
        if count > 1:
            detail = "may not specify more than 1 handler type"
            errs.append(field.forbidden(at.child(name), detail))
        elif name == "exec":
            if not action.command:
                errs.append(field.required(at.child("exec", "command")))
        elif name == "httpGet":
            _http_get(errs, at, action)
        elif name == "sleep":
            _sleep(errs, at, action, context)
        else:
            port = names.is_port_number if isinstance(action.port, int) else names.is_port_name
            messages = port(action.port)
            if messages:
                rules.add(errs, at.child(name, "port"), action.port, messages)
    if count == 0:
        errs.append(field.required(at, "must specify a handler type"))


def _http_get(errs: Errors, parent: Path, action: HTTPGetAction) -> None:
    at = parent.child("httpGet")
    rules.required(errs, at, "path", action.path)
    rules.port_number_or_name(errs, at, "port", action.port)
    rules.one_of(errs, at, "scheme", action.scheme, _SCHEMES)
    for header in action.httpHeaders:
        rules.syntax(errs, at, "httpHeaders", header.name, names.is_http_header_name)


def _sleep(errs: Errors, parent: Path, action: SleepAction, context: PodContext) -> None:
    # A missing grace period is an error of its own.
    if context.grace is not None and not 0 <= action.seconds <= context.grace:
        detail = (
            f"must be non-negative and less than terminationGracePeriodSeconds ({context.grace})"
        )
        errs.append(field.invalid(parent.child("sleep"), action.seconds, detail))

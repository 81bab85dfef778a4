"""Requests, limits and claims of containers and of pods.

In: a ResourceRequirements and the names of the pod's resource claims. Out: errors on the list
given. Called by: ``containers``, ``spec``. Upstream: pkg/apis/core/validation and helper;
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/; KEP-2837.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from trireme.api import rules
from trireme.api.core.v1 import resource_names
from trireme.api.core.v1.pod import aggregate
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.resources import ResourceClaim, ResourceRequirements
from trireme.api.core.v1.pod.rules.context import PodContext
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.rules import Errors
from trireme.machinery import field, names, quantity
from trireme.machinery.field import Path

_OF_PODS: Final = ("cpu", "hugepages-", "memory")
_RESIZABLE: Final = ("cpu", "memory")
_RESIZE_POLICIES: Final = ("NotRequired", "RestartContainer")


def of_container(
    errs: Errors, at: Path, value: ResourceRequirements, claims: frozenset[str]
) -> None:
    """``resources`` of a container, and a pod's overhead as limits."""
    if value.requests or value.limits:
        _quantities(errs, at, value, container_name)
    if value.claims:
        _claims(errs, at.child("claims"), value.claims, claims)


def of_pod(errs: Errors, at: Path, spec: PodSpec, context: PodContext) -> None:
    """``spec.resources``: the pod's own requests and limits."""
    value = spec.resources
    if value is None:
        return
    if context.os == "windows":
        errs.append(field.forbidden(at, "may not be set for a windows pod"))
        return
    if value.claims:
        detail = "claims may not be set for Resources at pod-level"
        errs.append(field.forbidden(at.child("claims"), detail))
    _quantities(errs, at, value, _pod_name)
    _claims(errs, at.child("claims"), value.claims, context.claims)
    _consistent(errs, at, spec, value)


def resize_policies(errs: Errors, at: Path, container: Container, restart_policy: str) -> None:
    """``resizePolicy`` of a container."""
    used: set[str] = set()
    for position, item in enumerate(container.resizePolicy):
        if item.resourceName in used:
            errs.append(field.duplicate(at.index(position), item.resourceName))
        used.add(item.resourceName)
        for value, supported in (
            (item.resourceName, _RESIZABLE),
            (item.restartPolicy, _RESIZE_POLICIES),
        ):
            if not value:
                errs.append(field.required(at))
            elif value not in supported:
                errs.append(field.not_supported(at, value, supported))
        if restart_policy == "Never" and item.restartPolicy != "NotRequired":
            detail = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            errs.append(field.invalid(at, item.restartPolicy, detail))


def _quantities(
    errs: Errors,
    at: Path,
    value: ResourceRequirements,
    check: Callable[[str], tuple[tuple[str, str], ...]],
) -> None:
    limits, requests = value.limits, value.requests
    for name, text in limits.items():
        _quantity(errs, at, "limits", name, text, check)
    for name, text in requests.items():
        _quantity(errs, at, "requests", name, text, check)
        limit = limits.get(name)
        if limit is None:
            if not resource_names.may_overcommit(name):
                detail = "Limit must be set for non overcommitable resources"
                errs.append(field.required(at.child("limits"), detail))
        elif limit != text:
            _compare(errs, at, name, text, limit)
    named = {*limits, *requests}
    if any(resource_names.is_huge_pages(name) for name in named) and not named & set(_RESIZABLE):
        errs.append(field.forbidden(at, "HugePages require cpu or memory"))


def _quantity(
    errs: Errors,
    at: Path,
    side: str,
    name: str,
    text: str,
    check: Callable[[str], tuple[tuple[str, str], ...]],
) -> None:
    messages = check(name)
    if messages:
        where = at.child(side).key(name)
        for kind, message in messages:
            if kind == field.NOT_SUPPORTED:
                errs.append(field.not_supported(where, name, _OF_PODS))
            else:
                errs.append(field.invalid(where, name, message))
    number = quantity.parse(text)
    if number.nanos < 0:
        errs.append(field.invalid(at.child(side).key(name), text, rules.NOT_NEGATIVE))
    if number.nanos % 10**9 and resource_names.is_integer(name):
        errs.append(field.invalid(at.child(side).key(name), text, "must be an integer"))
    if resource_names.is_huge_pages(name) and not _is_multiple(name, number.value()):
        detail = f"{text} is not positive integer multiple of {name}"
        errs.append(field.invalid(at.child(side).key(name), text, detail))


def _compare(errs: Errors, at: Path, name: str, request: str, limit: str) -> None:
    requested, most = quantity.parse(request), quantity.parse(limit)
    if requested != most and not resource_names.may_overcommit(name):
        detail = f"must be equal to {name} limit of {limit}"
        errs.append(field.invalid(at.child("requests"), request, detail))
    elif requested > most:
        detail = f"must be less than or equal to {name} limit of {limit}"
        errs.append(field.invalid(at.child("requests"), request, detail))


def _claims(errs: Errors, at: Path, items: list[ResourceClaim], known: frozenset[str]) -> None:
    used: set[str] = set()
    for position, item in enumerate(items):
        here, name = at.index(position), item.name
        if not name:
            errs.append(field.required(here))
            continue
        if name in used:
            errs.append(field.duplicate(here, name))
        else:
            key = name
            if item.request:
                rules.syntax(errs, here, "request", item.request, names.is_dns1123_label)
                key += "/" + item.request
            if key in used:
                errs.append(field.duplicate(here, key))
            elif not item.request:
                errs += [
                    field.duplicate(here, name)
                    for other in sorted(used)
                    if other.partition("/")[0] == name
                ]
            used.add(key)
        if name not in known:
            listed = f": {', '.join(sorted(known))}" if known else " which is empty"
            detail = "must be one of the names in pod.spec.resourceClaims" + listed
            errs.append(field.FieldError(field.NOT_FOUND, str(here), name, detail))


def _consistent(errs: Errors, at: Path, spec: PodSpec, value: ResourceRequirements) -> None:
    """The pod's resources hold those of its containers."""
    for name, requested in aggregate.requests(spec).items():
        own = value.requests.get(name)
        if own is not None and requested > quantity.parse(own):
            detail = f"must be greater than or equal to aggregate container requests of {requested}"
            errs.append(field.invalid(at.child("requests").key(name), own, detail))
    for name, most in aggregate.limits(spec).items():
        own = value.limits.get(name)
        if own is not None and resource_names.is_huge_pages(name) and most > quantity.parse(own):
            detail = f"must be greater than or equal to aggregate container limits of {most}"
            errs.append(field.invalid(at.child("limits").key(name), own, detail))
    for position, container in enumerate(spec.containers):
        for name, text in container.resources.limits.items():
            own = value.limits.get(name)
            if own is not None and quantity.parse(text) > quantity.parse(own):
                where = at.child("containers").index(position).key(name).child("limits")
                detail = f"must be less than or equal to pod limits of {own}"
                errs.append(field.invalid(where, text, detail))


@lru_cache(maxsize=1024)
def container_name(name: str) -> tuple[tuple[str, str], ...]:
    """What is wrong with a resource's name in a container: (type, detail) pairs."""
    return tuple((field.INVALID, text) for text in resource_names.container_name_errors(name))


@lru_cache(maxsize=1024)
def _pod_name(name: str) -> tuple[tuple[str, str], ...]:
    found = resource_names.name_errors(name)
    if found:
        return tuple((field.INVALID, text) for text in found)
    return () if aggregate.is_pod_level(name) else ((field.NOT_SUPPORTED, ""),)


def _is_multiple(name: str, number: int) -> bool:
    try:
        size = quantity.parse(name.removeprefix(aggregate.HUGE_PAGES))
    except ValueError:
        return False
    return size.nanos > 0 and size.is_integer() and number % size.value() == 0

"""The audit policy: what is written of which request.

In: a file's content; who asks for what. Out: the policy, field errors; a ``Config``. Pure.
Upstream: apiserver ``pkg/audit/policy``, ``pkg/apis/audit/validation``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from trireme.apiserver.request import RequestInfo, User
from trireme.apiserver.settings.audit import (
    LEVELS,
    STAGES,
    GroupResources,
    Policy,
    PolicyRule,
)
from trireme.machinery import configuration, field, names
from trireme.machinery.field import FieldError, Path

GROUP, VERSIONS = "audit.k8s.io", ("v1",)


@dataclass(frozen=True)
class Config:
    """What is written of a request. ``level`` is its place in ``LEVELS``."""

    level: int
    omit: frozenset[str]
    omit_managed_fields: bool


NOTHING = Config(0, frozenset(), False)


def decode(data: bytes) -> Policy:
    """A file's content. ValueError with all that is wrong."""
    found = configuration.decode(data, GROUP, "Policy", VERSIONS, Policy)
    errs: list[FieldError] = []
    _check_stages(errs, found.omitStages, field.path("omitStages"))
    for index, rule in enumerate(found.rules):
        _check_rule(errs, rule, field.path("rules").index(index))
    if errs:
        raise ValueError(field.join(errs))
    return found


class Evaluator:
    """Finds the first rule that fits a request."""

    def __init__(self, policy: Policy) -> None:
        everywhere = frozenset(policy.omitStages)
        self._rules = [
            (
                rule,
                Config(
                    LEVELS.index(rule.level),
                    frozenset(rule.omitStages) | everywhere,
                    policy.omitManagedFields
                    if rule.omitManagedFields is None
                    else rule.omitManagedFields,
                ),
            )
            for rule in policy.rules
        ]

    def evaluate(self, user: User | None, info: RequestInfo) -> Config:
        """What is written of a request; nothing where no rule fits. ``user`` is None where nobody
        was authenticated."""
        for rule, config in self._rules:
            if _fits(rule, user, info):
                return config
        return NOTHING


def _fits(rule: PolicyRule, user: User | None, info: RequestInfo) -> bool:
    if rule.users and (user is None or user.name not in rule.users):
        return False
    if rule.userGroups and (user is None or not any(g in rule.userGroups for g in user.groups)):
        return False
    if rule.verbs and info.verb not in rule.verbs:
        return False
    if rule.namespaces or rule.resources:
        if not info.is_resource:
            return False
        if rule.namespaces and info.namespace not in rule.namespaces:
            return False
        return not rule.resources or any(_has(item, info) for item in rule.resources)
    if rule.nonResourceURLs:
        return not info.is_resource and any(_is_at(info.path, u) for u in rule.nonResourceURLs)
    return True


def _has(item: GroupResources, info: RequestInfo) -> bool:
    if item.group not in ("*", info.group):
        return False
    if not item.resources:
        return True
    if item.resourceNames and info.name not in item.resourceNames:
        return False
    whole = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    return any(
        text in (whole, "*")
        or (info.subresource and text == f"*/{info.subresource}")
        or text == f"{info.resource}/*"
        for text in item.resources
    )


def _is_at(path: str, pattern: str) -> bool:
    if pattern in ("*", path):
        return True
    return pattern.endswith("*") and path.startswith(pattern.rstrip("*"))


def _check_rule(errs: list[FieldError], rule: PolicyRule, at: Path) -> None:
    if not rule.level:
        errs.append(field.required(at.child("level")))
    elif rule.level not in LEVELS:
        errs.append(field.not_supported(at.child("level"), rule.level, LEVELS))
    here = at.child("nonResourceURLs")
    for index, url in enumerate(rule.nonResourceURLs):
        if url != "*" and not url.startswith("/"):
            detail = "non-resource URL rules must begin with a '/' character"
            errs.append(field.invalid(here.index(index), url, detail))
        if "*" in url[:-1]:
            detail = "non-resource URL wildcards '*' must be the final character of the rule"
            errs.append(field.invalid(here.index(index), url, detail))
    for item in rule.resources:
        _check_resources(errs, item, at.child("resources"))
    _check_stages(errs, rule.omitStages, at.child("omitStages"))
    if rule.nonResourceURLs and (rule.resources or rule.namespaces):
        detail = "rules cannot apply to both regular resources and non-resource URLs"
        errs.append(field.invalid(here, list(rule.nonResourceURLs), detail))


def _check_resources(errs: list[FieldError], item: GroupResources, at: Path) -> None:
    if item.group not in ("", "*") and (problems := names.is_dns1123_subdomain(item.group)):
        errs.append(field.invalid(at.child("group"), item.group, ",".join(problems)))
    if item.resourceNames and not item.resources:
        value: Any = list(item.resourceNames)
        detail = "using resourceNames requires at least one resource"
        errs.append(field.invalid(at.child("resourceNames"), value, detail))


def _check_stages(errs: list[FieldError], stages: Iterable[str], at: Path) -> None:
    for index, stage in enumerate(stages):
        if stage not in STAGES:
            detail = f"allowed stages are {','.join(STAGES)}"
            errs.append(field.invalid(at.index(index), stage, detail))

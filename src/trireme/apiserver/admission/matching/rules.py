"""Rules: does an operation on a resource match? Pure.

Upstream: apiserver ``admission/plugin/webhook/predicates/rules``.
"""

from __future__ import annotations

from collections.abc import Sequence

from trireme.api.admissionregistration.v1.matching import (
    NamedRuleWithOperations,
    RuleWithOperations,
)
from trireme.apiserver.admission.objects import GroupVersionResource
from trireme.machinery.resource import Resource

Rule = RuleWithOperations | NamedRuleWithOperations
_GROUP = "admissionregistration.k8s.io"
_EXEMPT = frozenset(
    f"{plural}.{_GROUP}"
    for plural in (
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    )
)


def exempt(resource: Resource) -> bool:
    """Whether a kind is never intercepted: a configuration that locks itself in could not be
    changed any more."""
    return resource.group_resource in _EXEMPT


def matches(
    rule: Rule,
    operation: str,
    resource: GroupVersionResource,
    subresource: str,
    namespaced: bool,
) -> bool:
    """Whether a rule names the operation on the resource; ``resourceNames`` are not looked at."""
    return (
        _of_scope(rule.scope, namespaced)
        and _named(rule.operations, operation)
        and _named(rule.apiGroups, resource.group)
        and _named(rule.apiVersions, resource.version)
        and any(_covers(text, resource.resource, subresource) for text in rule.resources)
    )


def _of_scope(scope: str | None, namespaced: bool) -> bool:
    return scope in (None, "*") or scope == ("Namespaced" if namespaced else "Cluster")


def _named(texts: Sequence[str], text: str) -> bool:
    return "*" in texts or text in texts


def _covers(text: str, resource: str, subresource: str) -> bool:
    """``pods``, ``pods/exec``, ``pods/*``, ``*/exec``, ``*`` (no subresource), ``*/*``."""
    own, _, sub = text.partition("/")
    return own in ("*", resource) and sub in ("*", subresource)

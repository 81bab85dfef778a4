"""Does a policy rule allow a request, and is a subject the user? Pure.

In: rules, subjects and what is asked for. Out: booleans. Called by ``resolve`` and by the node
authorizer. https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources.
"""

from __future__ import annotations

from trireme.api.rbac.v1.rules import PolicyRule, Subject

ALL = "*"
SERVICE_ACCOUNT = "system:serviceaccount:"


def allows_resource(
    rule: PolicyRule, verb: str, group: str, resource: str, subresource: str
) -> bool:
    """Whether a rule speaks of the resource and the verb; its ``resourceNames`` still decide."""
    return (
        matches_any(rule.verbs, verb)
        and matches_any(rule.apiGroups, group)
        and matches_resource(rule.resources, resource, subresource)
    )


def matches_any(values: list[str], requested: str) -> bool:
    """A listed value, or the star that stands for all."""
    return requested in values or ALL in values


def matches_resource(resources: list[str], resource: str, subresource: str) -> bool:
    """``pods``, ``pods/exec``, ``*/scale`` (this subresource of everything) or ``*``."""
    if ALL in resources:
        return True
    if not subresource:
        return resource in resources
    return f"{resource}/{subresource}" in resources or f"*/{subresource}" in resources


def allows_path(rule: PolicyRule, verb: str, path: str) -> bool:
    """Whether a rule allows a verb on a path outside the resources."""
    return matches_any(rule.verbs, verb) and any(
        matches_path(url, path) for url in rule.nonResourceURLs
    )


def matches_path(pattern: str, path: str) -> bool:
    """An exact path, or a beginning that ends in a star."""
    if pattern in (ALL, path):
        return True
    return pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL))


def subject_key(subject: Subject, binding_namespace: str) -> tuple[str, str] | None:
    """Whom a binding's subject means: ("User" or "Group", name). None for nobody.

    A service account without a namespace is looked for in the binding's own.
    """
    if subject.kind in ("User", "Group"):
        return subject.kind, subject.name
    namespace = subject.namespace or binding_namespace
    if subject.kind != "ServiceAccount" or not namespace:
        return None
    return "User", f"{SERVICE_ACCOUNT}{namespace}:{subject.name}"

"""Rules of roles and role bindings.

In: rules, role references and subjects. Out: errors on the list given. Called by: the four kinds of
RBAC, and the API server for rules that it makes. Upstream: pkg/apis/rbac/validation;
https://kubernetes.io/docs/reference/access-authn-authz/rbac/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trireme.api import rules
from trireme.api.rbac.v1.rules import PolicyRule, RoleRef, Subject
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

GROUP: Final = "rbac.authorization.k8s.io"
_SUBJECTS: Final = ("ServiceAccount", "User", "Group")


def policy_rules(errs: Errors, items: Sequence[PolicyRule], *, namespaced: bool) -> None:
    """``rules`` of a Role (``namespaced``) or ClusterRole."""
    for position, rule in enumerate(items):
        _rule(errs, field.path("rules").index(position), rule, namespaced)


def binding(errs: Errors, role: RoleRef, subjects: Sequence[Subject], *, namespaced: bool) -> None:
    """``roleRef`` and ``subjects`` of a RoleBinding (``namespaced``) or ClusterRoleBinding."""
    at = field.path("roleRef")
    rules.one_of(errs, at, "apiGroup", role.apiGroup, (GROUP,))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    rules.one_of(errs, at, "kind", role.kind, kinds)
    rules.required_syntax(errs, at, "name", role.name, names.is_path_segment)
    for position, subject in enumerate(subjects):
        _subject(errs, field.path("subjects").index(position), subject, namespaced)


def same_role(errs: Errors, new: RoleRef, old: RoleRef) -> None:
    """A binding keeps its role: the right to bind is checked on create only."""
    if new != old:
        errs.append(field.invalid(field.path("roleRef"), new, "cannot change roleRef"))


def _rule(errs: Errors, at: Path, rule: PolicyRule, namespaced: bool) -> None:
    rules.required(errs, at, "verbs", rule.verbs, "verbs must contain at least one value")
    if rule.nonResourceURLs:
        where = at.child("nonResourceURLs")
        if namespaced:
            detail = "namespaced rules cannot apply to non-resource URLs"
            errs.append(field.invalid(where, rule.nonResourceURLs, detail))
        if rule.apiGroups or rule.resources or rule.resourceNames:
            detail = "rules cannot apply to both regular resources and non-resource URLs"
            errs.append(field.invalid(where, rule.nonResourceURLs, detail))
        return
    detail = "resource rules must supply at least one api group"
    rules.required(errs, at, "apiGroups", rule.apiGroups, detail)
    detail = "resource rules must supply at least one resource"
    rules.required(errs, at, "resources", rule.resources, detail)


def _subject(errs: Errors, at: Path, subject: Subject, namespaced: bool) -> None:
    rules.required(errs, at, "name", subject.name)
    if subject.kind == "ServiceAccount":
        if subject.name:
            rules.syntax(errs, at, "name", subject.name, names.is_dns1123_subdomain)
        rules.one_of(errs, at, "apiGroup", subject.apiGroup, ("",))
        if not namespaced:
            rules.required(errs, at, "namespace", subject.namespace)
    elif subject.kind in _SUBJECTS:
        rules.one_of(errs, at, "apiGroup", subject.apiGroup, (GROUP,))
    else:
        errs.append(field.not_supported(at.child("kind"), subject.kind, _SUBJECTS))

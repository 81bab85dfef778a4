"""Privilege escalation prevention: a role may not grow beyond its writer's own rules.

A role takes the writer's own rules to cover its rules, or the verb ``escalate`` on it; a binding
the rules of its role, or ``bind`` on the role. Upstream does this in the storage of the kinds, so
it comes after all mutating plugins.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/
#privilege-escalation-prevention-and-bootstrapping.
"""

from __future__ import annotations

from typing import Any

from trireme.api.rbac.v1.clusterrole import ClusterRole
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.role import Role
from trireme.api.rbac.v1.rolebinding_types import RoleBinding
from trireme.api.rbac.v1.rules import PolicyRule, RoleRef
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.apiserver.authz import contract as authorization
from trireme.apiserver.authz.rbac import cover
from trireme.apiserver.authz.union import SUPERUSERS
from trireme.machinery import errors, gotext
from trireme.machinery.resource import Resource

_EVERYTHING = [
    PolicyRule(verbs=["*"], apiGroups=["*"], resources=["*"]),
    PolicyRule(verbs=["*"], nonResourceURLs=["*"]),
]


class RbacEscalation(PluginBase):
    """For roles and bindings that are created or updated."""

    name = "RBACEscalation"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        kinds = (ClusterRole, ClusterRoleBinding, Role, RoleBinding)
        return resource.type in kinds and operation in ("CREATE", "UPDATE")

    def admit(self, attributes: Attributes, context: Context) -> None:
        if SUPERUSERS in attributes.user.groups:
            return
        if attributes.old is not None and _only_gc_fields(attributes.new, attributes.old):
            return
        if attributes.resource.type in (ClusterRole, Role):
            _check_role(attributes, context)
        else:
            _check_binding(attributes, context)


def _check_role(attributes: Attributes, context: Context) -> None:
    question = authorization.Attributes(
        user=attributes.user,
        verb="escalate",
        group=attributes.resource.group,
        version="*",
        resource=attributes.resource.plural,
        namespace=attributes.namespace,
        # A creation names nobody yet.
        name=attributes.name if attributes.operation == "UPDATE" else "",
    )
    if context.authorizer.authorize(question).allowed:
        return
    _require(attributes, context, attributes.new.rules)
    aggregates = _aggregates(attributes.new) or _aggregates(attributes.old)
    # An aggregation rule can gather anything.
    if aggregates and _missing(attributes, context, _EVERYTHING):
        raise errors.forbidden(
            attributes.resource.group_resource,
            attributes.name,
            "must have cluster-admin privileges to use the aggregationRule",
        )


def _check_binding(attributes: Attributes, context: Context) -> None:
    ref: RoleRef = attributes.new.roleRef
    plurals = {"ClusterRole": "clusterroles", "Role": "roles"}
    if ref.kind in plurals:
        question = authorization.Attributes(
            user=attributes.user,
            verb="bind",
            group=ref.apiGroup,
            version="*",
            resource=plurals[ref.kind],
            namespace=attributes.namespace,
            name=ref.name,
        )
        if context.authorizer.authorize(question).allowed:
            return
    try:
        rules = context.authorizer.rbac.rules_of(ref, attributes.namespace)
    except LookupError as problem:
        if ref.kind in plurals:
            resource = f"{plurals[ref.kind]}.{attributes.resource.group}"
            raise errors.not_found(resource, ref.name) from None
        raise errors.internal_error(str(problem)) from None
    _require(attributes, context, rules)


def _require(attributes: Attributes, context: Context, rules: list[PolicyRule]) -> None:
    """403 unless the user holds all these rules."""
    missing = _missing(attributes, context, rules)
    if not missing:
        return
    user = attributes.user
    printed = sorted({cover.described(rule) for rule in cover.compacted(missing)})
    lines = "\n".join(printed)
    detail = (
        f"user {gotext.quote(user.name)} (groups={gotext.quotes(user.groups)}) is attempting to "
        f"grant RBAC permissions not currently held:\n{lines}"
    )
    access = context.authorizer.rbac.access(user, attributes.namespace)
    if access.problems:
        detail += f"; resolution errors: [{', '.join(access.problems)}]"
    raise errors.forbidden(attributes.resource.group_resource, attributes.name, detail)


def _missing(attributes: Attributes, context: Context, rules: list[PolicyRule]) -> list[PolicyRule]:
    access = context.authorizer.rbac.access(attributes.user, attributes.namespace)
    return cover.uncovered(access.rules, rules)


def _aggregates(role: Any) -> bool:
    rule = getattr(role, "aggregationRule", None)
    return rule is not None and bool(rule.clusterRoleSelectors)


def _only_gc_fields(new: Any, old: Any) -> bool:
    """Whether only what the garbage collector writes differs: owners and finalizers."""
    for name in new.__struct_fields__:
        if name != "metadata" and getattr(new, name) != getattr(old, name):
            return False
    exempt = ("ownerReferences", "finalizers", "managedFields", "selfLink", "resourceVersion")
    return all(
        getattr(new.metadata, name) == getattr(old.metadata, name)
        for name in new.metadata.__struct_fields__
        if name not in exempt
    )

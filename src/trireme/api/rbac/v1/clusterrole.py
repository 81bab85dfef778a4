"""Types of clusterrole: see the API reference, rbac/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import rules
from trireme.api.rbac.v1 import checks
from trireme.api.rbac.v1.rules import PolicyRule
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.resource import Resource
from trireme.machinery.types import Atomic, Struct, always, constant


class AggregationRule(Struct):
    clusterRoleSelectors: Annotated[list[meta.LabelSelector], Atomic()] = []


class ClusterRole(Struct):
    kind: str = constant("ClusterRole")
    apiVersion: str = constant("rbac.authorization.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    rules: Annotated[list[PolicyRule], Atomic()] = always(list)
    aggregationRule: AggregationRule | None = None


def validate(new: ClusterRole) -> Errors:
    """Rules over resources and over paths, and what is aggregated."""
    errs: Errors = []
    checks.policy_rules(errs, new.rules, namespaced=False)
    if new.aggregationRule is not None:
        at = field.path("aggregationRule", "clusterRoleSelectors")
        selectors = new.aggregationRule.clusterRoleSelectors
        if not selectors:
            detail = "at least one clusterRoleSelector required if aggregationRule is non-nil"
            errs.append(field.required(at, detail))
        for position, selector in enumerate(selectors):
            rules.label_selector(errs, at.index(position), selector)
    return errs


RESOURCE = Resource(
    type=ClusterRole,
    plural="clusterroles",
    name_errors=names.is_path_segment,
    validate=validate,
    create_on_update=True,
    namespaced=False,
)

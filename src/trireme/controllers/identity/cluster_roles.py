"""Aggregated ClusterRoles: ``admin``, ``edit``, ``view`` and those of users.

In: ClusterRoles. Out: the rules of those with an ``aggregationRule``. Run by ``manager``. Upstream:
pkg/controller/clusterroleaggregation;
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.rbac.v1.clusterrole import ClusterRole
from trireme.api.rbac.v1.rules import PolicyRule
from trireme.controllers.definition import ControllerContext, Definition
from trireme.machinery import labels
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key


def make(context: ControllerContext) -> Controller:
    """The control loop: any change may affect every aggregated role."""
    roles = context.informers.of(ClusterRole)

    def aggregates(_event: Event[ClusterRole]) -> Iterable[Key]:
        return [Key("", item.metadata.name) for item in roles.list() if item.aggregationRule]

    async def reconcile(key: Key) -> None:
        role = roles.get("", key.name)
        if role is None or role.aggregationRule is None:
            return
        desired = plan(role, roles.list())
        if desired != role.rules:
            guard = {"resourceVersion": role.metadata.resourceVersion}
            change = {"metadata": guard, "rules": desired}
            await context.client.patch(ClusterRole, key.name, None, change)

    return Controller(
        "ClusterRoleAggregator", reconcile, context.env, triggers=[(roles, aggregates)], workers=5
    )


def plan(role: ClusterRole, every: Iterable[ClusterRole]) -> list[PolicyRule]:
    """The rules of all roles that are selected, each once: by selector, then by name."""
    assert role.aggregationRule is not None
    ordered = sorted(every, key=lambda item: item.metadata.name)
    found: list[PolicyRule] = []
    for selector in role.aggregationRule.clusterRoleSelectors:
        desired = labels.from_struct(selector)
        for other in ordered:
            if other.metadata.name != role.metadata.name and desired.matches(other.metadata.labels):
                found += [rule for rule in other.rules if rule not in found]
    return found


CONTROLLER = Definition("clusterrole-aggregation-controller", make)

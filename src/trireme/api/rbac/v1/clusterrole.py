"""Types of clusterrole: see the API reference, rbac/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.rbac.v1.rules import PolicyRule
from trireme.machinery import meta, names
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


RESOURCE = Resource(
    type=ClusterRole,
    plural="clusterroles",
    name_errors=names.is_path_segment,
    create_on_update=True,
    namespaced=False,
)

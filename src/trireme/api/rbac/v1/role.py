"""Types of role: see the API reference, rbac/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.rbac.v1 import checks
from trireme.api.rbac.v1.rules import PolicyRule
from trireme.api.rules import Errors
from trireme.machinery import meta, names
from trireme.machinery.resource import Resource
from trireme.machinery.types import Atomic, Struct, always, constant


class Role(Struct):
    kind: str = constant("Role")
    apiVersion: str = constant("rbac.authorization.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    rules: Annotated[list[PolicyRule], Atomic()] = always(list)


def validate(new: Role) -> Errors:
    """Rules over resources of the namespace."""
    errs: Errors = []
    checks.policy_rules(errs, new.rules, namespaced=True)
    return errs


RESOURCE = Resource(
    type=Role,
    plural="roles",
    name_errors=names.is_path_segment,
    validate=validate,
    create_on_update=True,
)

"""Types of rolebinding: see the API reference, rbac/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.rbac.v1 import checks, subjects
from trireme.api.rbac.v1.rules import RoleRef, Subject
from trireme.api.rules import Errors
from trireme.machinery import meta, names
from trireme.machinery.resource import Resource
from trireme.machinery.types import Atomic, Required, Struct, always, constant


class RoleBinding(Struct):
    kind: str = constant("RoleBinding")
    apiVersion: str = constant("rbac.authorization.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    subjects: Annotated[list[Subject], Atomic()] = []
    roleRef: Annotated[RoleRef, Required()] = always(RoleRef)


def validate(new: RoleBinding) -> Errors:
    """The role by its kind and name, and who gets it."""
    errs: Errors = []
    checks.binding(errs, new.roleRef, new.subjects, namespaced=True)
    return errs


def validate_update(new: RoleBinding, old: RoleBinding) -> Errors:
    """The role stays."""
    errs = validate(new)
    checks.same_role(errs, new.roleRef, old.roleRef)
    return errs


RESOURCE = Resource(
    type=RoleBinding,
    plural="rolebindings",
    defaults=subjects.defaults,
    name_errors=names.is_path_segment,
    validate=validate,
    validate_update=validate_update,
    create_on_update=True,
    columns=subjects.COLUMNS,
    row=subjects.row,
)

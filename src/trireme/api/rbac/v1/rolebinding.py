"""Types of rolebinding: see the API reference, rbac/v1."""

from __future__ import annotations

from trireme.api.rbac.v1 import checks, subjects
from trireme.api.rbac.v1.rolebinding_types import RoleBinding
from trireme.api.rules import Errors
from trireme.machinery import names
from trireme.machinery.resource import Resource


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
)

"""What the two kinds of role binding share: defaults of their subjects, and their table.

In: a RoleBinding or ClusterRoleBinding. Called by: the write path and server-side printing.
Upstream: pkg/apis/rbac/v1 defaults, pkg/printers/internalversion.
"""

from __future__ import annotations

from typing import Any, Final

from trireme.api import columns
from trireme.api.rbac.v1 import checks
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.rolebinding_types import RoleBinding
from trireme.machinery.resource import Column

COLUMNS: Final = (
    columns.NAME,
    Column("Role", description="The role that is granted."),
    columns.AGE,
    Column("Users", priority=1, description="The users that get it."),
    Column("Groups", priority=1, description="The groups whose members get it."),
    Column("ServiceAccounts", priority=1, description="The service accounts that get it."),
)


def defaults(obj: RoleBinding | ClusterRoleBinding) -> None:
    """Users and groups are of RBAC's own group, service accounts of core."""
    for subject in obj.subjects:
        if not subject.apiGroup and subject.kind in ("User", "Group"):
            subject.apiGroup = checks.GROUP


def row(obj: RoleBinding | ClusterRoleBinding, now: float) -> list[Any]:
    """The cells of one binding."""
    named: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.subjects:
        if subject.kind == "ServiceAccount":
            named[subject.kind].append(f"{subject.namespace}/{subject.name}")
        elif subject.kind in named:
            named[subject.kind].append(subject.name)
    return [
        obj.metadata.name,
        f"{obj.roleRef.kind}/{obj.roleRef.name}",
        columns.age(obj.metadata, now),
        *(", ".join(items) for items in named.values()),
    ]

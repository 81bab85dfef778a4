"""What the two kinds of role binding share: defaults of their subjects, and their table.

In: a RoleBinding or ClusterRoleBinding. Called by: the write path and server-side printing.
Upstream: pkg/apis/rbac/v1 defaults, pkg/printers/internalversion.
"""

from __future__ import annotations

from typing import Final

from trireme.api import columns
from trireme.api.rbac.v1 import checks
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.rolebinding_types import RoleBinding
from trireme.machinery.resource import Column


def defaults(obj: RoleBinding | ClusterRoleBinding) -> None:
    """Users and groups are of RBAC's own group, service accounts of core."""
    for subject in obj.subjects:
        if not subject.apiGroup and subject.kind in ("User", "Group"):
            subject.apiGroup = checks.GROUP


def _named(obj: RoleBinding | ClusterRoleBinding, kind: str) -> str:
    """The names of the subjects of a kind."""
    return ", ".join(
        f"{item.namespace}/{item.name}" if kind == "ServiceAccount" else item.name
        for item in obj.subjects
        if item.kind == kind
    )


COLUMNS: Final = (
    columns.NAME,
    Column(
        "Role", lambda obj: f"{obj.roleRef.kind}/{obj.roleRef.name}", "The role that is granted."
    ),
    columns.AGE,
    Column("Users", lambda obj: _named(obj, "User"), "The users that get it.", priority=1),
    Column(
        "Groups", lambda obj: _named(obj, "Group"), "The groups whose members get it.", priority=1
    ),
    Column(
        "ServiceAccounts",
        lambda obj: _named(obj, "ServiceAccount"),
        "The service accounts that get it.",
        priority=1,
    ),
)

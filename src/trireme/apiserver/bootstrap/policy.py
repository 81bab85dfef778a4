"""The RBAC objects that every cluster has, as typed objects. Pure but for reading its own package.

Out: fresh lists, in the order in which they are to be created. Called by ``reconcile`` and, for the
rules of nodes, by the node authorizer. The texts are in the folder ``policy``, in the notation of
``notation``. Facts: upstream's bootstrappolicy;
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings.
"""

from __future__ import annotations

from importlib import resources
from typing import Final

from trireme.api.rbac.v1.clusterrole import ClusterRole
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.role import Role
from trireme.api.rbac.v1.rolebinding_types import RoleBinding
from trireme.api.rbac.v1.rules import PolicyRule, RoleRef, Subject
from trireme.apiserver.bootstrap import notation
from trireme.apiserver.bootstrap.notation import GateIsOn
from trireme.machinery import labels

_NONE: Final[GateIsOn] = lambda gate: False  # noqa: E731
CONTROLLER_PREFIX = "system:controller:"
NODE_ROLE = "system:node"
KUBELET_ROLE = "system:kubelet-api-admin"
# ClusterRoles and ClusterRoleBindings that earlier versions made and upstream's policy has not.
RETIRED = ("system:openshift:public-info-viewer", "system:controller:service-ca-cert-publisher")


def cluster_roles(is_on: GateIsOn = _NONE) -> list[ClusterRole]:
    """All ClusterRoles; those that aggregate others have no rules yet: see ``aggregated``.
    ``is_on`` says which feature gates are on that are off by default."""
    return notation.roles(_text("cluster_roles"), ClusterRole) + _controller_roles(is_on)


def cluster_role_bindings(is_on: GateIsOn = _NONE) -> list[ClusterRoleBinding]:
    """All ClusterRoleBindings, one for each controller included."""
    bound = [_controller_binding(role.metadata.name) for role in _controller_roles(is_on)]
    return notation.bindings(_text("cluster_role_bindings"), ClusterRoleBinding) + bound


def roles() -> list[Role]:
    """The Roles in system namespaces."""
    return notation.roles(_text("roles"), Role)


def role_bindings() -> list[RoleBinding]:
    """The RoleBindings in system namespaces."""
    return notation.bindings(_text("role_bindings"), RoleBinding)


def kubelet_clients(groups: list[str]) -> ClusterRoleBinding:
    """What the API server may at kubelets. Upstream leaves it to kubeadm to bind a group for it."""
    return ClusterRoleBinding(
        metadata=notation.metadata("trireme:kubelet-clients"),
        roleRef=RoleRef(apiGroup=notation.GROUP, kind="ClusterRole", name=KUBELET_ROLE),
        subjects=[Subject(kind="Group", apiGroup=notation.GROUP, name=name) for name in groups],
    )


def node_rules() -> list[PolicyRule]:
    """What every node may do, whatever its name: the rules of the role ``system:node``."""
    found = next(role for role in cluster_roles() if role.metadata.name == NODE_ROLE)
    return found.rules


def aggregated(role: ClusterRole, among: list[ClusterRole]) -> list[PolicyRule]:
    """The rules that a role sums up from others, each once, by the order of the roles' names."""
    found: list[PolicyRule] = []
    if role.aggregationRule is None:
        return role.rules
    for selector in role.aggregationRule.clusterRoleSelectors:
        desired = labels.from_struct(selector)
        for other in sorted(among, key=lambda item: item.metadata.name):
            if other.metadata.name == role.metadata.name:
                continue
            if desired.matches(other.metadata.labels):
                found += [item for item in aggregated(other, among) if item not in found]
    return found


def _controller_roles(is_on: GateIsOn) -> list[ClusterRole]:
    return notation.roles(_text("controller_roles"), ClusterRole, is_on)


def _controller_binding(name: str) -> ClusterRoleBinding:
    account = name.removeprefix(CONTROLLER_PREFIX)
    return ClusterRoleBinding(
        metadata=notation.metadata(name),
        roleRef=RoleRef(apiGroup=notation.GROUP, kind="ClusterRole", name=name),
        subjects=[Subject(kind="ServiceAccount", name=account, namespace="kube-system")],
    )


def _text(name: str) -> str:
    return (resources.files(__package__) / "policy" / f"{name}.txt").read_text()

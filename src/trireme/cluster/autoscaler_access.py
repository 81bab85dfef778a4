"""What the cluster autoscaler may do: its role, as upstream's manifests for it have one. Pure."""

from __future__ import annotations

from typing import Any, Final

from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.api.rbac.v1.clusterrole import ClusterRole
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.rules import PolicyRule, RoleRef, Subject
from trireme.cloud.autoscaler.settings import Settings
from trireme.machinery.meta import ObjectMeta

ACCOUNT: Final = "cluster-autoscaler"
_NAMESPACE: Final = "kube-system"
_READ: Final = ("get", "list", "watch")


def objects() -> list[Any]:
    """The service account, its role and the binding."""
    reference = RoleRef(apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name=ACCOUNT)
    subject = Subject(kind="ServiceAccount", name=ACCOUNT, namespace=_NAMESPACE)
    return [
        ServiceAccount(metadata=ObjectMeta(name=ACCOUNT, namespace=_NAMESPACE)),
        ClusterRole(metadata=ObjectMeta(name=ACCOUNT), rules=_rules()),
        ClusterRoleBinding(
            metadata=ObjectMeta(name=ACCOUNT), roleRef=reference, subjects=[subject]
        ),
    ]


def _rules() -> list[PolicyRule]:
    return [
        _rule("", ("pods", "namespaces"), _READ),
        _rule("", ("nodes",), (*_READ, "patch")),
        _rule("", ("pods/eviction",), ("create",)),
        _rule("", ("events",), ("create", "patch")),
        _rule("", ("configmaps",), ("create",)),
        _rule("", ("configmaps",), ("get", "patch"), Settings().status_config_map),
        _rule("apps", ("daemonsets",), _READ),
        _rule("policy", ("poddisruptionbudgets",), _READ),
        _rule("coordination.k8s.io", ("leases",), ("create",)),
        _rule("coordination.k8s.io", ("leases",), ("get", "update"), ACCOUNT),
    ]


def _rule(
    group: str, resources: tuple[str, ...], verbs: tuple[str, ...], name: str = ""
) -> PolicyRule:
    return PolicyRule(
        apiGroups=[group],
        resources=list(resources),
        verbs=list(verbs),
        resourceNames=[name] if name else [],
    )

"""The Node authorizer: a kubelet may do what its node and the pods on it need, and no more.

In: a question from a user ``system:node:<name>`` of the group ``system:nodes``. Out: allowed, or no
opinion with the reason; None for everybody else. Asked by ``union`` before RBAC. What depends on
the content of a write is the admission plugin NodeRestriction's.
https://kubernetes.io/docs/reference/access-authn-authz/node/.
"""

from __future__ import annotations

from collections.abc import Callable

from trireme.api.rbac.v1.rules import PolicyRule
from trireme.apiserver.authz.contract import Attributes, Decision
from trireme.apiserver.authz.node import identity
from trireme.apiserver.authz.node.related import Related
from trireme.apiserver.authz.rbac import match
from trireme.machinery import fields

LEASES = "kube-node-lease"
_ALLOWED = Decision(True)
_SILENCE = Decision(False)
_OWN_OBJECT_VERBS = ("get", "create", "update", "patch", "delete")


class NodeAuthorizer:
    """Rules by resource; every resource without one is judged by the rules of ``system:node``."""

    def __init__(self, related: Related, rules: list[PolicyRule]) -> None:
        self._related = related
        self._rules = rules
        self._answers: dict[tuple[str, str, str, str], Decision] = {}
        self._by_resource: dict[tuple[str, str], Callable[[str, Attributes], Decision]] = {
            ("", "secrets"): self._read_named,
            ("", "configmaps"): self._read_named,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "persistentvolumes"): self._get,
            ("", "serviceaccounts"): self._service_account,
            ("", "nodes"): _node,
            ("", "pods"): self._pod,
            ("coordination.k8s.io", "leases"): _lease,
            ("storage.k8s.io", "csinodes"): _csi_node,
            ("storage.k8s.io", "volumeattachments"): self._get,
            ("resource.k8s.io", "resourceclaims"): self._get,
            ("resource.k8s.io", "resourceslices"): self._slice,
            ("certificates.k8s.io", "podcertificaterequests"): _nothing,
        }

    def authorize(self, asked: Attributes) -> Decision | None:
        """None when the user is not a node."""
        node = identity.node_name(asked.user)
        if node is None:
            return None
        if not node:
            return _no(f'unknown node for user "{asked.user.name}"')
        if asked.is_resource:
            rule = self._by_resource.get((asked.group, asked.resource))
            if rule is not None:
                return rule(node, asked)
        return self._by_rules(asked)

    def _by_rules(self, asked: Attributes) -> Decision:
        if not asked.is_resource:
            allowed = any(match.allows_path(rule, asked.verb, asked.path) for rule in self._rules)
            return _ALLOWED if allowed else _SILENCE
        key = (asked.verb, asked.group, asked.resource, asked.subresource)
        answer = self._answers.get(key)
        if answer is None:
            # None of these rules names objects.
            allowed = any(match.allows_resource(rule, *key) for rule in self._rules)
            answer = _ALLOWED if allowed else _SILENCE
            if len(self._answers) < 1000:
                self._answers[key] = answer
        return answer

    def _read_named(self, node: str, asked: Attributes) -> Decision:
        if asked.verb not in ("get", "list", "watch"):
            return _no("can only read resources of this type")
        if asked.subresource:
            return _no("cannot read subresource")
        if not asked.namespace:
            return _no("can only read namespaced object of this type")
        return self._if_related(node, asked)

    def _get(self, node: str, asked: Attributes) -> Decision:
        if asked.verb != "get":
            return _no("can only get individual resources of this type")
        if asked.subresource:
            return _no("cannot get subresource")
        return self._if_related(node, asked)

    def _claim(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource != "status":
            return self._get(node, asked)
        if asked.verb not in ("update", "patch"):
            return _no("can only get/update/patch this type")
        return self._if_related(node, asked)

    def _service_account(self, node: str, asked: Attributes) -> Decision:
        if asked.verb == "get" and not asked.subresource:
            return self._read_named(node, asked)
        if asked.verb != "create" or not asked.name:
            return _no("can only create tokens for individual service accounts")
        if asked.subresource != "token":
            return _no("can only create token subresource of serviceaccount")
        return self._if_related(node, asked)

    def _pod(self, node: str, asked: Attributes) -> Decision:
        verb = asked.verb
        if asked.subresource == "status":
            return _ALLOWED if verb in ("update", "patch") else _SILENCE
        if asked.subresource == "eviction":
            return _ALLOWED if verb == "create" else _SILENCE
        if asked.subresource:
            return _SILENCE
        if verb in ("create", "delete"):
            return _ALLOWED
        if verb == "get":
            return self._if_related(node, asked)
        if verb not in ("list", "watch"):
            return _SILENCE
        if _selects(asked, "spec.nodeName", node):
            return _ALLOWED
        if asked.name:
            return self._if_related(node, asked)
        return _no("can only list/watch pods with spec.nodeName field selector")

    def _slice(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource:
            return _no("cannot authorize ResourceSlice subresources")
        if asked.verb == "create":
            return _ALLOWED
        if asked.verb in ("get", "update", "patch", "delete"):
            return self._if_related(node, asked)
        if asked.verb not in ("watch", "list", "deletecollection"):
            return _no(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, "
                "create, update, patch, delete, deletecollection"
            )
        if _selects(asked, "spec.nodeName", node):
            return _ALLOWED
        return _no(
            "can only list/watch/deletecollection resourceslices with nodeName field selector"
        )

    def _if_related(self, node: str, asked: Attributes) -> Decision:
        if not asked.name:
            return _no("No Object name found")
        if self._related.is_related(node, asked.resource, asked.namespace, asked.name):
            return _ALLOWED
        return _no(f"no relationship found between node '{node}' and this object")


def _node(node: str, asked: Attributes) -> Decision:
    verb = asked.verb
    if asked.subresource == "status":
        return _ALLOWED if verb in ("update", "patch") else _SILENCE
    if asked.subresource:
        return _SILENCE
    if verb in ("create", "update", "patch"):
        return _ALLOWED
    if verb not in ("get", "list", "watch"):
        return _SILENCE
    if asked.name == node:
        return _ALLOWED
    if not asked.name:
        return _no(f"node '{node}' cannot read all nodes, only its own Node object")
    return _no(f"node '{node}' cannot read '{asked.name}', only its own Node object")


def _lease(node: str, asked: Attributes) -> Decision:
    if asked.verb not in _OWN_OBJECT_VERBS:
        return _no("can only get, create, update, patch, or delete a node lease")
    if asked.namespace != LEASES:
        return _no(f'can only access leases in the "{LEASES}" system namespace')
    if asked.verb != "create" and asked.name != node:
        return _no("can only access node lease with the same name as the requesting node")
    return _ALLOWED


def _csi_node(node: str, asked: Attributes) -> Decision:
    if asked.verb not in _OWN_OBJECT_VERBS:
        return _no("can only get, create, update, patch, or delete a CSINode")
    if asked.subresource:
        return _no("cannot authorize CSINode subresources")
    if asked.verb != "create" and asked.name != node:
        return _no("can only access CSINode with the same name as the requesting node")
    return _ALLOWED


def _nothing(_node: str, _asked: Attributes) -> Decision:
    # Behind a feature gate that is off by default.
    return _SILENCE


def _selects(asked: Attributes, field: str, value: str) -> bool:
    """Whether the request's field selector demands just this value."""
    try:
        return fields.parse(asked.field_selector).exact(field) == value
    except ValueError:
        return False


def _no(reason: str) -> Decision:
    return Decision(False, reason)

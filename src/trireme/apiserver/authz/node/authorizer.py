"""The Node authorizer: a kubelet may do what its node and the pods on it need, and no more.

In: a question from a user ``system:node:<name>`` of the group ``system:nodes``. Out: allowed, or no
opinion with the reason; no opinion for everybody else. Asked by ``union`` before RBAC. What depends
on the content of a write is the admission plugin NodeRestriction's.
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
_NO_OPINION = Decision(False)
_OWN_OBJECT_VERBS = ("get", "create", "update", "patch", "delete")


class NodeAuthorizer:
    """Rules by resource; every other resource has the rules of ``system:node``."""

    def __init__(
        self, related: Related, rules: list[PolicyRule], *, pod_certificates: bool = False
    ) -> None:
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
            ("certificates.k8s.io", "podcertificaterequests"): (
                self._pod_certificate if pod_certificates else _nothing
            ),
        }

    def authorize(self, attrs: Attributes) -> Decision:
        """No opinion when the user is not a node."""
        node = identity.node_name(attrs.user)
        if node is None:
            return _NO_OPINION
        if not node:
            return _no(f'unknown node for user "{attrs.user.name}"')
        if attrs.is_resource:
            rule = self._by_resource.get((attrs.group, attrs.resource))
            if rule is not None:
                return rule(node, attrs)
        return self._by_rules(attrs)

    def _by_rules(self, attrs: Attributes) -> Decision:
        if not attrs.is_resource:
            allowed = any(match.allows_path(rule, attrs.verb, attrs.path) for rule in self._rules)
            return _ALLOWED if allowed else _NO_OPINION
        key = (attrs.verb, attrs.group, attrs.resource, attrs.subresource)
        answer = self._answers.get(key)
        if answer is None:
            # None of these rules names objects.
            allowed = any(match.allows_resource(rule, *key) for rule in self._rules)
            answer = _ALLOWED if allowed else _NO_OPINION
            if len(self._answers) < 1000:
                self._answers[key] = answer
        return answer

    def _read_named(self, node: str, attrs: Attributes) -> Decision:
        if attrs.verb not in ("get", "list", "watch"):
            return _no("can only read resources of this type")
        if attrs.subresource:
            return _no("cannot read subresource")
        if not attrs.namespace:
            return _no("can only read namespaced object of this type")
        return self._if_related(node, attrs)

    def _get(self, node: str, attrs: Attributes) -> Decision:
        if attrs.verb != "get":
            return _no("can only get individual resources of this type")
        if attrs.subresource:
            return _no("cannot get subresource")
        return self._if_related(node, attrs)

    def _claim(self, node: str, attrs: Attributes) -> Decision:
        if attrs.subresource != "status":
            return self._get(node, attrs)
        if attrs.verb not in ("update", "patch"):
            return _no("can only get/update/patch this type")
        return self._if_related(node, attrs)

    def _service_account(self, node: str, attrs: Attributes) -> Decision:
        if attrs.verb == "get" and not attrs.subresource:
            return self._read_named(node, attrs)
        if attrs.verb != "create" or not attrs.name:
            return _no("can only create tokens for individual service accounts")
        if attrs.subresource != "token":
            return _no("can only create token subresource of serviceaccount")
        return self._if_related(node, attrs)

    def _pod(self, node: str, attrs: Attributes) -> Decision:
        verb = attrs.verb
        if attrs.subresource == "status":
            return _ALLOWED if verb in ("update", "patch") else _NO_OPINION
        if attrs.subresource == "eviction":
            return _ALLOWED if verb == "create" else _NO_OPINION
        if attrs.subresource:
            return _NO_OPINION
        if verb in ("create", "delete"):
            return _ALLOWED
        if verb == "get":
            return self._if_related(node, attrs)
        if verb not in ("list", "watch"):
            return _NO_OPINION
        if _selects(attrs, "spec.nodeName", node):
            return _ALLOWED
        if attrs.name:
            return self._if_related(node, attrs)
        return _no("can only list/watch pods with spec.nodeName field selector")

    def _slice(self, node: str, attrs: Attributes) -> Decision:
        if attrs.subresource:
            return _no("cannot authorize ResourceSlice subresources")
        if attrs.verb == "create":
            return _ALLOWED
        if attrs.verb in ("get", "update", "patch", "delete"):
            return self._if_related(node, attrs)
        if attrs.verb not in ("watch", "list", "deletecollection"):
            return _no(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, "
                "create, update, patch, delete, deletecollection"
            )
        if _selects(attrs, "spec.nodeName", node):
            return _ALLOWED
        return _no(
            "can only list/watch/deletecollection resourceslices with nodeName field selector"
        )

    def _pod_certificate(self, node: str, attrs: Attributes) -> Decision:
        if attrs.subresource:
            return _no("nodes may not access the status subresource of PodCertificateRequests")
        if attrs.verb == "create":
            return _ALLOWED
        if attrs.verb == "get":
            return self._if_related(node, attrs)
        if attrs.verb not in ("list", "watch"):
            return _no(f"nodes may not {attrs.verb} podcertificaterequests")
        if _selects(attrs, "spec.nodeName", node):
            return _ALLOWED
        return _no("can only list/watch podcertificaterequests with nodeName field selector")

    def _if_related(self, node: str, attrs: Attributes) -> Decision:
        if not attrs.name:
            return _no("No Object name found")
        if self._related.is_related(node, attrs.resource, attrs.namespace, attrs.name):
            return _ALLOWED
        return _no(f"no relationship found between node '{node}' and this object")


def _node(node: str, attrs: Attributes) -> Decision:
    verb = attrs.verb
    if attrs.subresource == "status":
        return _ALLOWED if verb in ("update", "patch") else _NO_OPINION
    if attrs.subresource:
        return _NO_OPINION
    if verb in ("create", "update", "patch"):
        return _ALLOWED
    if verb not in ("get", "list", "watch"):
        return _NO_OPINION
    if attrs.name == node:
        return _ALLOWED
    if not attrs.name:
        return _no(f"node '{node}' cannot read all nodes, only its own Node object")
    return _no(f"node '{node}' cannot read '{attrs.name}', only its own Node object")


def _lease(node: str, attrs: Attributes) -> Decision:
    if attrs.verb not in _OWN_OBJECT_VERBS:
        return _no("can only get, create, update, patch, or delete a node lease")
    if attrs.namespace != LEASES:
        return _no(f'can only access leases in the "{LEASES}" system namespace')
    if attrs.verb != "create" and attrs.name != node:
        return _no("can only access node lease with the same name as the requesting node")
    return _ALLOWED


def _csi_node(node: str, attrs: Attributes) -> Decision:
    if attrs.verb not in _OWN_OBJECT_VERBS:
        return _no("can only get, create, update, patch, or delete a CSINode")
    if attrs.subresource:
        return _no("cannot authorize CSINode subresources")
    if attrs.verb != "create" and attrs.name != node:
        return _no("can only access CSINode with the same name as the requesting node")
    return _ALLOWED


def _nothing(_node: str, _asked: Attributes) -> Decision:
    # Behind a feature gate that is off by default.
    return _NO_OPINION


def _selects(attrs: Attributes, field: str, value: str) -> bool:
    """Whether the request's field selector demands just this value."""
    try:
        return fields.parse(attrs.field_selector).exact(field) == value
    except ValueError:
        return False


def _no(reason: str) -> Decision:
    return Decision(False, reason)

"""The authorizers, asked in order: the first that allows or denies decides; no opinion denies.

In: a question (``contract.Attributes``). Out: a decision, without waiting. The order is the
privileged group, the paths that everybody may read, Node, RBAC (upstream's usual
``--authorization-mode=Node,RBAC``). Callers: the ``authorize`` filter, impersonation, the access
reviews and the admission plugins that ask on a user's behalf.
"""

from __future__ import annotations

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.rbac.v1.rules import PolicyRule
from trireme.api.storage.v1.volumeattachment import VolumeAttachment
from trireme.apiserver.authz.contract import Attributes, Decision
from trireme.apiserver.authz.node import identity
from trireme.apiserver.authz.node.authorizer import NodeAuthorizer
from trireme.apiserver.authz.node.related import Related
from trireme.apiserver.authz.rbac.resolve import Access, Resolver
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.request import User
from trireme.store.contract import Store

SUPERUSERS = "system:masters"
ALWAYS_ALLOWED = frozenset({"/healthz", "/readyz", "/livez"})
_ALLOWED = Decision(True)


class UnionAuthorizer:
    """All authorizers of one API server. ``rbac`` also answers which rules a user has.

    ``node_rules``: what every node may do, whatever its name (the role ``system:node``).
    """

    def __init__(
        self,
        store: Store,
        reader: Reader,
        by_type: dict[type, Endpoint],
        node_rules: list[PolicyRule],
    ) -> None:
        self.rbac = Resolver(reader)
        self._node = NodeAuthorizer(
            Related(store, by_type[Pod], by_type[PersistentVolume], by_type[VolumeAttachment]),
            node_rules,
        )

    def authorize(self, attributes: Attributes) -> Decision:
        """May the user do this? A refusal's reasons are those of all who were asked."""
        user = attributes.user
        if SUPERUSERS in user.groups:
            return _ALLOWED
        if not attributes.is_resource and attributes.path in ALWAYS_ALLOWED:
            return _ALLOWED
        as_node = self._node.authorize(attributes)
        if as_node is not None and as_node.allowed:
            return as_node
        decision = self._by_rbac(attributes)
        if as_node is None or not as_node.reason or decision.allowed:
            return decision
        reasons = [reason for reason in (as_node.reason, decision.reason) if reason]
        return Decision(False, "\n".join(reasons))

    def rules(self, user: User, namespace: str) -> tuple[Access, str]:
        """The rules that hold for a user, and what makes their list incomplete ("" if nothing)."""
        access = self.rbac.access(user, namespace)
        problems = list(access.problems)
        if identity.node_name(user) is not None:
            problems.insert(0, "node authorizer does not support user rule resolution")
        return access, ", ".join(problems)

    def _by_rbac(self, attributes: Attributes) -> Decision:
        access = self.rbac.access(attributes.user, attributes.namespace)
        if attributes.is_resource:
            return access.resource(
                attributes.verb,
                attributes.group,
                attributes.resource,
                attributes.subresource,
                attributes.name,
            )
        return access.path(attributes.verb, attributes.path)

"""The authorizers, asked in order: the first that allows or denies decides; silence is a no.

In: a question (``contract.Attributes``). Out: a decision, without waiting. The order is the
privileged group, the paths that everybody may read, Node, RBAC (upstream's usual
``--authorization-mode=Node,RBAC``). Callers: the ``authorize`` filter, the access reviews and the
admission plugins that ask on a user's behalf.
"""

from __future__ import annotations

from trireme.apiserver.authz.contract import Attributes, Decision
from trireme.apiserver.authz.rbac.resolve import Resolver
from trireme.apiserver.cache.reader import Reader

SUPERUSERS = "system:masters"
ALWAYS_ALLOWED = frozenset({"/healthz", "/readyz", "/livez"})
_ALLOWED = Decision(True)


class UnionAuthorizer:
    """All authorizers of one API server. ``rbac`` also answers which rules a user has."""

    def __init__(self, reader: Reader) -> None:
        self.rbac = Resolver(reader)

    def authorize(self, attributes: Attributes) -> Decision:
        """May the user do this? A refusal's reasons are those of all who were asked."""
        user = attributes.user
        if SUPERUSERS in user.groups:
            return _ALLOWED
        if not attributes.resource and attributes.path in ALWAYS_ALLOWED:
            return _ALLOWED
        access = self.rbac.access(user, attributes.namespace)
        if attributes.resource:
            return access.resource(
                attributes.verb,
                attributes.group,
                attributes.resource,
                attributes.subresource,
                attributes.name,
            )
        return access.path(attributes.verb, attributes.path)

"""The RBAC authorizer: the rules of the roles that bindings give a user.

In: a question. Out: allowed, or no opinion with the reason. Asked by ``union``.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/.
"""

from __future__ import annotations

from trireme.apiserver.authz.contract import Attributes, Decision
from trireme.apiserver.authz.rbac.resolve import Resolver


class RbacAuthorizer:
    """Decides by what ``Resolver`` knows."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    def authorize(self, attributes: Attributes) -> Decision:
        access = self._resolver.access(attributes.user, attributes.namespace)
        if attributes.is_resource:
            return access.resource(
                attributes.verb,
                attributes.group,
                attributes.resource,
                attributes.subresource,
                attributes.name,
            )
        return access.path(attributes.verb, attributes.path)

"""Ask the authorizer whether the user may do what the request asks for; 403 if not."""

from __future__ import annotations

from trireme.apiserver.authz.contract import Attributes
from trireme.apiserver.request import ANONYMOUS, Request
from trireme.apiserver.server import ApiServer
from trireme.machinery import errors


async def check(server: ApiServer, request: Request) -> None:
    """Return when the request is allowed."""
    info = request.info
    user = request.user or ANONYMOUS
    attributes = Attributes(
        user=user,
        verb=info.verb,
        group=info.group,
        version=info.version,
        resource=info.resource,
        subresource=info.subresource,
        namespace=info.namespace,
        name=info.name,
        path=info.path,
        field_selector=request.param("fieldSelector"),
        label_selector=request.param("labelSelector"),
    )
    decision = server.authorizer.authorize(attributes)
    if decision.allowed:
        return
    if not info.is_resource:
        raise errors.access_denied(user.name, info.verb, path=info.path, reason=decision.reason)
    raise errors.access_denied(
        user.name,
        info.verb,
        resource=info.resource,
        group=info.group,
        subresource=info.subresource,
        namespace=info.namespace,
        name=info.name,
        reason=decision.reason,
    )

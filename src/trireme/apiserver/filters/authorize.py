"""Ask the authorizer whether the user may do what the request asks for; 403 if not."""

from __future__ import annotations

from trireme.apiserver.authz.contract import Attributes, Decision
from trireme.apiserver.request import ANONYMOUS, Request
from trireme.apiserver.server import ApiServer
from trireme.machinery import errors


async def check(server: ApiServer, request: Request) -> None:
    """Return when the request is allowed."""
    info = request.info
    user = request.user or ANONYMOUS
    decision = _decide(server, request, info.verb)
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


def check_verb(server: ApiServer, request: Request, verb: str) -> None:
    """Return when the user may do what the request, for a core resource, asks for by another verb
    as well."""
    info = request.info
    if info.verb == verb:
        return
    decision = _decide(server, request, verb)
    if not decision.allowed:
        raise errors.forbidden(info.resource, info.name, decision.reason)


def _decide(server: ApiServer, request: Request, verb: str) -> Decision:
    info = request.info
    return server.authorizer.authorize(
        Attributes(
            user=request.user or ANONYMOUS,
            verb=verb,
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
    )

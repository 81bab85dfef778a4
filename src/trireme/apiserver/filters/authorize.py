"""Ask the authorizer whether the user may do what the request asks for; 403 if not."""

from __future__ import annotations

from trireme.apiserver.authz.contract import Attributes
from trireme.apiserver.request import ANONYMOUS, Request
from trireme.apiserver.server import ApiServer
from trireme.machinery import errors


async def check(server: ApiServer, request: Request) -> None:
    """Return when the request is allowed."""
    asked = attributes(request, request.info.verb)
    decision = server.authorizer.authorize(asked)
    if not decision.allowed:
        raise denied(asked, decision.reason)


def check_verb(server: ApiServer, request: Request, verb: str) -> None:
    """Return when the user may do what the request, for a core resource, asks for by another verb
    as well."""
    info = request.info
    if info.verb == verb:
        return
    decision = server.authorizer.authorize(attributes(request, verb))
    if not decision.allowed:
        raise errors.forbidden(info.resource, info.name, decision.reason)


def attributes(request: Request, verb: str) -> Attributes:
    """What the request asks for, by a verb."""
    info = request.info
    return Attributes(
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


def denied(asked: Attributes, reason: str) -> errors.ApiError:
    """403 for what was asked."""
    if not asked.is_resource:
        return errors.access_denied(asked.user.name, asked.verb, path=asked.path, reason=reason)
    return errors.access_denied(
        asked.user.name,
        asked.verb,
        resource=asked.resource,
        group=asked.group,
        subresource=asked.subresource,
        namespace=asked.namespace,
        name=asked.name,
        reason=reason,
    )

"""What a request asks the authorizer, and the 403 where it denies.

Used by the filters ``authorize`` and ``impersonate``, and by subresources that need the right to
another verb as well. Upstream: apiserver ``endpoints/filters/authorization.go``.
"""

from __future__ import annotations

from trireme.apiserver.authz.contract import Attributes
from trireme.apiserver.authz.union import UnionAuthorizer
from trireme.apiserver.request import ANONYMOUS, Request
from trireme.machinery import errors

_SELECTING = frozenset(("list", "watch", "deletecollection"))


async def check_verb(authorizer: UnionAuthorizer, request: Request, verb: str) -> None:
    """403 unless the user may do what the request, for a core resource, asks for by another verb
    as well."""
    info = request.info
    if info.verb == verb:
        return
    decision = await authorizer.ask(attributes(request, verb))
    if not decision.allowed:
        raise errors.forbidden(info.resource, info.name, decision.reason)


def attributes(request: Request, verb: str) -> Attributes:
    """What the request asks for, by a verb."""
    info = request.info
    selects = verb in _SELECTING
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
        field_selector=request.param("fieldSelector") if selects else "",
        label_selector=request.param("labelSelector") if selects else "",
    )


def denied(attrs: Attributes, reason: str) -> errors.ApiError:
    """403 for what was asked."""
    if not attrs.is_resource:
        return errors.access_denied(attrs.user.name, attrs.verb, path=attrs.path, reason=reason)
    return errors.access_denied(
        attrs.user.name,
        attrs.verb,
        resource=attrs.resource,
        group=attrs.group,
        subresource=attrs.subresource,
        namespace=attrs.namespace,
        name=attrs.name,
        reason=reason,
    )

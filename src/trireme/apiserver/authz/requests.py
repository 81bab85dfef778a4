"""What a request asks the authorizer, and the 403 where it denies.

Used by the filters ``authorize`` and ``impersonate``, and by subresources that need the right to
another verb as well. Upstream: apiserver ``endpoints/filters/authorization.go``.
"""

from __future__ import annotations

from trireme.apiserver.authz.contract import Attributes, Authorizer
from trireme.apiserver.request import ANONYMOUS, Request
from trireme.machinery import errors


def check_verb(authorizer: Authorizer, request: Request, verb: str) -> None:
    """403 unless the user may do what the request, for a core resource, asks for by another verb
    as well."""
    info = request.info
    if info.verb == verb:
        return
    decision = authorizer.authorize(attributes(request, verb))
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

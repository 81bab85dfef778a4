"""Ask the authorizer whether the user may do what the request asks for; 403 if not."""

from __future__ import annotations

from trireme.apiserver.authz import requests
from trireme.apiserver.authz.contract import Authorizer
from trireme.apiserver.request import Request


def check(authorizer: Authorizer, request: Request) -> None:
    """Return when the request is allowed."""
    attributes = requests.attributes(request, request.info.verb)
    decision = authorizer.authorize(attributes)
    if not decision.allowed:
        raise requests.denied(attributes, decision.reason)

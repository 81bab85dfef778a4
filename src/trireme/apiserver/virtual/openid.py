"""The documents by which others check our service-account tokens: OpenID discovery, and the keys.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/
#service-account-issuer-discovery.
"""

from __future__ import annotations

from trireme.apiserver.authn.keys import JWKS_PATH
from trireme.apiserver.context import ServerContext
from trireme.apiserver.handlers import Route
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import AnyReply
from trireme.apiserver.request import Request

_CACHE = {"Cache-Control": "public, max-age=3600"}


async def configuration(context: ServerContext, request: Request) -> AnyReply:
    """/.well-known/openid-configuration."""
    advertise = context.config.advertise
    address = request.headers.get("host", "")
    if advertise is not None:
        host, port = advertise
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    answer = reply.encoded(context.authenticator.keys.discovery(address))
    answer.headers.update(_CACHE)
    return answer


async def key_set(context: ServerContext, _request: Request) -> AnyReply:
    """/openid/v1/jwks."""
    answer = reply.encoded(context.authenticator.keys.key_set())
    answer.content_type = "application/jwk-set+json"
    answer.headers.update(_CACHE)
    return answer


CONFIGURATION = Route("/.well-known/openid-configuration", configuration)
KEY_SET = Route(JWKS_PATH, key_set)

"""Authentication and authorization of the kubelet's clients.

In: the connection's client certificate or a bearer token, method and path. Out: the user, or
``Refused``. Called by server/app for each request. Rules: reference "HTTP server": certificates of
the client CA, TokenReview (kept 2 min), SubjectAccessReview on a subresource of ``nodes`` (kept
5 min when allowed, 30 s when not). The API server decides.
"""

from __future__ import annotations

from typing import Any

from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.kubelet.config import ServerConfig
from trireme.kubelet.server import routes
from trireme.runtime.serving.delegated import Attributes, Authenticator, Authorizer, Refused, User

TOKEN_SECONDS = 120.0
ALLOWED_SECONDS = 300.0
DENIED_SECONDS = 30.0
# Other methods, HEAD among them, have no verb: they need the right to all verbs.
VERBS = {
    "GET": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
# By the first segment of the path: the subresources of nodes, any one of which suffices.
SUBRESOURCES = {
    "stats": ("stats",),
    "metrics": ("metrics",),
    "logs": ("log",),
    "checkpoint": ("checkpoint",),
    "statusz": ("statusz",),
    "flagz": ("configz",),
    "configz": ("configz", "proxy"),
    "healthz": ("healthz", "proxy"),
    "pods": ("pods", "proxy"),
    "runningpods": ("pods", "proxy"),
}


class Auth:
    """``client`` has the identity of the node."""

    def __init__(self, env: Env, client: Client, node_name: str, config: ServerConfig) -> None:
        self._node_name = node_name
        self._config = config
        self._authenticator = Authenticator(env, client, TOKEN_SECONDS, anonymous=config.anonymous)
        self._authorizer = Authorizer(env, client, ALLOWED_SECONDS, DENIED_SECONDS)

    async def check(
        self, certificate: dict[str, Any] | None, authorization: str, method: str, path: str
    ) -> User:
        """The user, who is authorized. Raises ``Refused``."""
        if not self._config.tokens:
            authorization = ""
        user = await self._authenticator.user(certificate, authorization)
        if self._config.always_allow:
            return user
        verb = VERBS.get(method, "")
        subresources = SUBRESOURCES.get("".join(routes.split(path)[:1]), ("proxy",))
        for subresource in subresources:
            attributes = Attributes(verb, "nodes", subresource, self._node_name)
            try:
                if await self._authorizer.may(user, attributes):
                    return user
            except Refused as error:
                raise Refused(
                    error.status,
                    f"Authorization error (user={user.name}, verb={verb}, resource=nodes, "
                    f"subresource={subresource})",
                ) from error
        listed = " ".join(subresources)
        raise Refused(
            403,
            f"Forbidden (user={user.name}, verb={verb}, resource=nodes, "
            f"subresource(s)=[{listed}])\n",
        )

"""The authenticators in upstream's order: client certificate, bearer token, anonymous.

The first credential that is there decides: a bad one is 401, not the next authenticator's business.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/.
"""

from __future__ import annotations

from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.config import ApiServerConfig
from trireme.apiserver.request import ANONYMOUS, Request, User
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.machinery import errors

AUTHENTICATED = "system:authenticated"


class UnionAuthenticator:
    """Who sends a request. Certificates are remembered, as they come with every request."""

    def __init__(self, config: ApiServerConfig, env: Env, reader: Reader) -> None:
        self._config = config
        self._certificates: dict[bytes, User] = {}

    async def authenticate(self, request: Request) -> User:
        """The user; 401 for a bad credential."""
        if request.peer_certificate is not None:
            return self._by_certificate(request.peer_certificate)
        credential = request.headers.get("authorization", "")
        scheme, _, token = credential.partition(" ")
        if scheme.lower() == "bearer" and token:
            return self._by_token(token.strip())
        if not self._config.anonymous:
            raise errors.unauthorized()
        return ANONYMOUS

    def _by_certificate(self, certificate: bytes) -> User:
        user = self._certificates.get(certificate)
        if user is None:
            name, groups = pki.identity(certificate)
            user = User(name, groups=(*groups, AUTHENTICATED))
            if len(self._certificates) > 1000:
                self._certificates.clear()
            self._certificates[certificate] = user
        return user

    def _by_token(self, token: str) -> User:
        known = self._config.static_tokens.get(token)
        if known is None:
            raise errors.unauthorized()
        name, uid, groups = known
        return User(name, uid, (*groups, AUTHENTICATED))

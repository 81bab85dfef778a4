"""A front proxy says who asks: ``X-Remote-User`` and its like, from a certificate that may.

In: a request whose certificate TLS has checked. Out: the user, None without the headers, or
``Rejected`` where the certificate is not the proxy's. ``clear`` takes the headers away, so that
nothing behind this sees them. Called by ``union``.
Upstream: apiserver ``authentication/request/headerrequest``;
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from multidict import CIMultiDict

from trireme.apiserver.authn.contract import Identity, Rejected, authenticated
from trireme.apiserver.request import Request, User
from trireme.apiserver.settings.authentication import RequestHeader
from trireme.kit import pki


class RequestHeaders:
    """Authenticates for one front proxy."""

    def __init__(self, settings: RequestHeader) -> None:
        self._settings = settings
        one = (*settings.username_headers, *settings.uid_headers, *settings.group_headers)
        self._names = frozenset(name.lower() for name in one)
        self._prefixes = tuple(prefix.lower() for prefix in settings.extra_prefixes)

    def authenticate(self, request: Request, certificate: bytes) -> Identity | None:
        """The user of a request that came with a certificate of the proxy's authority."""
        settings = self._settings
        name, _ = pki.identity(certificate)
        if settings.allowed_names and name not in settings.allowed_names:
            raise Rejected(f"x509: subject with cn={name} is not in the allowed list")
        headers = list(request.headers.items())
        user = _first(headers, settings.username_headers)
        if not user:
            return None
        groups = [
            value
            for header in settings.group_headers
            for key, value in headers
            if key.lower() == header.lower() and value
        ]
        extra: dict[str, tuple[str, ...]] = {}
        for prefix in self._prefixes:
            for key, value in headers:
                if key.lower().startswith(prefix):
                    extra_key = unquote(key.lower()[len(prefix) :])
                    extra[extra_key] = (*extra.get(extra_key, ()), value)
        uid = _first(headers, settings.uid_headers)
        return authenticated(Identity(User(user, uid, tuple(groups), extra)))

    def clear(self, request: Request) -> None:
        """Take the headers away, if any but those with more about a user is there."""
        headers = request.headers
        if any([name in headers for name in self._names]):
            self.clear_all(request)

    def clear_all(self, request: Request) -> None:
        """Take all of them away."""
        headers = request.headers
        if any(map(self._is_ours, headers)):
            kept = [(key, value) for key, value in headers.items() if not self._is_ours(key)]
            request.headers = CIMultiDict(kept)

    def _is_ours(self, header: str) -> bool:
        name = header.lower()
        return name in self._names or name.startswith(self._prefixes)


def _first(headers: Iterable[tuple[str, str]], names: Iterable[str]) -> str:
    """The first value that is not empty, of the first of the headers that has one."""
    for name in names:
        for key, value in headers:
            if key.lower() == name.lower():
                if value:
                    return value
                break
    return ""

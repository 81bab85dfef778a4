"""Whose certificates are taken: those of clients, and of the front proxy.

TLS checks a certificate against both; here is which of the two it was. The bundles of their files
may change while the server runs. Used by ``union``, ``serve`` and the ConfigMap
``extension-apiserver-authentication``. Upstream: apiserver ``server/dynamiccertificates``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from trireme.apiserver.authn.contract import Rejected

CACHE_SIZE = 1000


class Authorities:
    """``clients`` and ``proxy`` are bundles in PEM; ``changed`` is called after ``put``."""

    def __init__(self, clients: bytes, proxy: bytes) -> None:
        self.clients = clients
        self.proxy = proxy
        self.changed: list[Callable[[], None]] = []
        self._index()

    @property
    def bundle(self) -> bytes:
        """What TLS checks certificates against."""
        return b"\n".join(item for item in (self.clients, self.proxy) if item)

    def put(self, clients: bytes, proxy: bytes) -> None:
        """Other bundles from now on. ValueError, and nothing is changed, for what is none."""
        for item in (clients, proxy):
            if item:
                certificates(item)
        self.clients, self.proxy = clients, proxy
        self._index()
        for call in self.changed:
            call()

    def is_clients(self, certificate: bytes, chain: Callable[[], Sequence[bytes]] | None) -> bool:
        """Whether a certificate that TLS has checked is one of a client."""
        return not self.proxy or self._roots(certificate, chain)[0]

    def is_proxys(self, certificate: bytes, chain: Callable[[], Sequence[bytes]] | None) -> bool:
        """Whether it is one of the front proxy."""
        return bool(self.proxy) and self._roots(certificate, chain)[1]

    def _index(self) -> None:
        self._clients = frozenset(certificates(self.clients)) if self.clients else frozenset()
        self._proxys = frozenset(certificates(self.proxy)) if self.proxy else frozenset()
        self._known: dict[bytes, tuple[bool, bool]] = {}

    def _roots(
        self, certificate: bytes, chain: Callable[[], Sequence[bytes]] | None
    ) -> tuple[bool, bool]:
        known = self._known.get(certificate)
        if known is None:
            if chain is None:
                raise Rejected("x509: certificate signed by unknown authority")
            # Of more than one way TLS found one: what is in both bundles is of both.
            above = frozenset(chain())
            known = not above.isdisjoint(self._clients), not above.isdisjoint(self._proxys)
            if len(self._known) >= CACHE_SIZE:
                self._known.clear()
            self._known[certificate] = known
        return known


def certificates(pem: bytes) -> list[bytes]:
    """The certificates of a bundle (DER). ValueError where there are none."""
    return [item.public_bytes(Encoding.DER) for item in x509.load_pem_x509_certificates(pem)]

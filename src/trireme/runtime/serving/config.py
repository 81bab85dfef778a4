"""What the HTTPS server of a component is configured with.

Defaults are upstream's, but for the address: apiserver/pkg/server/options.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class SecureServing:
    """``port`` of 0 serves nothing. Without a ``certificate`` and its ``key`` (PEM) the server has
    one of its own, kept in ``cert_dir``, or in memory. ``cipher_suites``: as IANA names them."""

    address: str = "127.0.0.1"
    port: int
    cert_dir: str = ""
    certificate: bytes = b""
    key: bytes = b""
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    cipher_suites: tuple[str, ...] = ()
    reuse_port: bool = False


@dataclass(frozen=True, kw_only=True)
class DelegatedAuth:
    """Who may see what. Times are seconds.

    Without ``authentication_kubeconfig`` no token is asked about and no ``client_authority`` is
    looked up; without ``authorization_kubeconfig`` only the paths of ``always_allow`` are served.
    """

    authentication_kubeconfig: Path | None = None
    skip_lookup: bool = False
    tolerate_lookup_failure: bool = False
    client_authority: bytes = b""
    token_ttl: float = 10.0
    authorization_kubeconfig: Path | None = None
    always_allow: tuple[str, ...] = ("/healthz", "/readyz", "/livez")
    allowed_ttl: float = 10.0
    denied_ttl: float = 10.0

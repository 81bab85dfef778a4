"""TLS contexts of servers and clients; a certificate and its key from memory."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from trireme.kit.pki import Pair


def load_pair(context: ssl.SSLContext, pair: Pair) -> None:
    """Present ``pair`` in handshakes. Raises ``ssl.SSLError`` for what is no certificate or key."""
    with tempfile.TemporaryDirectory() as folder:
        # ssl reads a certificate and its key from files only.
        path = Path(folder) / "pair.pem"
        path.touch(0o600)
        path.write_bytes(pair.key.rstrip() + b"\n" + pair.certificate)
        context.load_cert_chain(path)


def server_context(
    serving: Pair,
    client_authority: bytes,
    min_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    ciphers: Sequence[str] = (),
) -> ssl.SSLContext:
    """TLS for a server that asks for client certificates without insisting on one. ``ciphers`` of
    TLS 1.2, as OpenSSL names them. ValueError, ``ssl.SSLError``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = min_version
    for cipher in ciphers:
        try:
            context.set_ciphers(cipher)
        except ssl.SSLError:
            raise ValueError(f"the TLS library has no cipher suite {cipher}") from None
    if ciphers:
        context.set_ciphers(":".join(ciphers))
    load_pair(context, serving)
    if client_authority:
        context.load_verify_locations(cadata=client_authority.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    # No client of Kubernetes resumes a session: tickets would be made, sent and kept for nothing.
    context.num_tickets = 0
    return context


def client_context(
    authority: bytes, client: Pair | None = None, *, verifies: bool = True
) -> ssl.SSLContext:
    """TLS for a client that trusts one authority (PEM; the system's where it is empty), and shows
    ``client`` where it is asked for a certificate. ``ssl.SSLError`` for what is no certificate."""
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client is not None:
        load_pair(context, client)
    return context

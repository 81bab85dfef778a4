"""A certificate and its key for a TLS context, from memory."""

from __future__ import annotations

import ssl
import tempfile
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

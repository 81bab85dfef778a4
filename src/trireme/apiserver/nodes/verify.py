"""TLS towards the kubelet of one node: its serving certificate has to be that node's.

In: the API server's client certificate, the authority of kubelets. Out: for each node a context
whose handshake fails unless the certificate is valid for the address that is dialled (as upstream
has it, --kubelet-certificate-authority) and, where it names a node as the kubelet-serving signer's
certificates do, names this one: a node that says it has the address of another is not taken for it.
"""

from __future__ import annotations

import ssl
from typing import Any

from trireme.apiserver.nodes.contract import KubeletAccess
from trireme.kit import tls

USER_PREFIX = "system:node:"
# A context takes some 40 kB.
_LIMIT = 1024


class NodeContexts:
    """One context for each node that is spoken to."""

    def __init__(self, access: KubeletAccess) -> None:
        self._access = access
        self._contexts: dict[str, ssl.SSLContext] = {}

    def of(self, node: str) -> ssl.SSLContext:
        """The context for a node."""
        made = self._contexts.get(node)
        if made is None:
            if len(self._contexts) >= _LIMIT:
                self._contexts.clear()
            made = self._contexts[node] = _context(self._access, node)
        return made


class _Handshake(ssl.SSLObject):
    """A connection whose peer may not be another node than ``user``."""

    user = ""

    def do_handshake(self) -> None:
        super().do_handshake()
        subject: Any = (self.getpeercert() or {}).get("subject", ())
        for name, value in (pair for part in subject for pair in part):
            if name == "commonName" and value.startswith(USER_PREFIX) and value != self.user:
                raise ssl.SSLCertVerificationError(f"certificate is of {value}, not {self.user}")


def _context(access: KubeletAccess, node: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.load_verify_locations(cadata=access.authority.decode())
    tls.load_pair(context, access.client)
    context.sslobject_class = type("Handshake", (_Handshake,), {"user": USER_PREFIX + node})
    return context

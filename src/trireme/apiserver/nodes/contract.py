"""What the API server needs of a kubelet, whatever the way to it.

``HttpsKubelets`` reaches real ones; the in-process topology passes its own. Every method raises
``ApiError`` when the node cannot be reached.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Protocol

from multidict import CIMultiDict

from trireme.apiserver.reply.reply import Chunks
from trireme.kit.pki import Pair


@dataclass(frozen=True)
class KubeletAccess:
    """How the API server reaches kubelets: its client certificate and the CA of their servers.

    RBAC gives the certificate's groups what it takes; that is no matter for system:masters.
    """

    client: Pair
    authority: bytes


# Of an answer that explains a failure, so many bytes are read.
EXPLANATION = 50_000


@dataclass(slots=True)
class NodeAnswer:
    """The head of an answer and its body in pieces; closing ``chunks`` hangs up."""

    status: int
    chunks: Chunks[bytes]
    headers: MutableMapping[str, str] = field(default_factory=CIMultiDict)

    async def explanation(self) -> str:
        """The text of an answer that is a failure; hangs up."""
        text = b""
        async for chunk in self.chunks:
            text += chunk
            if len(text) >= EXPLANATION:
                break
        await self.chunks.aclose()
        return text[:EXPLANATION].decode(errors="replace").strip()


class RawStream(Protocol):
    """A connection that has left HTTP: bytes both ways."""

    async def read(self) -> bytes:
        """Some bytes; empty at the end."""

    async def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Kubelets(Protocol):
    """Requests to nodes and pods. ``path`` begins with a slash; ``query`` is encoded."""

    def address(self, node: str) -> tuple[str, int]:
        """Where the kubelet of a node listens."""

    async def request(self, node: str, method: str, path: str, query: str) -> NodeAnswer:
        """The API server's own request to a kubelet."""

    async def fetch(
        self, method: str, url: str, headers: MutableMapping[str, str], body: bytes, node: str = ""
    ) -> NodeAnswer:
        """A client's request, passed on to a pod or another server of the cluster by its whole
        address, or with ``node`` to that node's kubelet in the API server's name."""

    async def upgrade(
        self, node: str, path: str, query: str, protocol: str, headers: dict[str, str]
    ) -> tuple[RawStream, dict[str, str]]:
        """Leave HTTP for ``protocol``; returns the connection and the answer's headers."""

    async def close(self) -> None: ...

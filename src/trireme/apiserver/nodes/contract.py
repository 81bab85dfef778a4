"""What the API server needs of a kubelet, whatever the way to it.

``HttpsKubelets`` reaches real ones; the in-process topology passes its own. Every method raises
``ApiError`` when the node cannot be reached.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class NodeAnswer:
    """The head of a kubelet's answer and its body in pieces; closing ``chunks`` hangs up."""

    status: int
    content_type: str
    chunks: AsyncIterator[bytes]
    headers: dict[str, str] = field(default_factory=dict)


class RawStream(Protocol):
    """A connection that has left HTTP: bytes both ways."""

    async def read(self) -> bytes:
        """Some bytes; empty at the end."""

    async def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class Kubelets(Protocol):
    """Requests to the kubelet of a node. ``path`` begins with a slash; ``query`` is encoded."""

    async def request(self, node: str, method: str, path: str, query: str) -> NodeAnswer: ...

    async def fetch(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> NodeAnswer:
        """A request to a pod or another server of the cluster, by its whole address."""

    async def upgrade(
        self, node: str, path: str, query: str, protocol: str, headers: dict[str, str]
    ) -> tuple[RawStream, dict[str, str]]:
        """Leave HTTP for ``protocol``; returns the connection and the answer's headers."""

    async def close(self) -> None: ...

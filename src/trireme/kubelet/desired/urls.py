"""Static pods from a URL.

In: a URL, headers. Out: its pods, when the document has changed. Called by desired/static. Rules:
upstream's pkg/kubelet/config/http.go; a redirect is an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import aiohttp

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.kubelet.desired import manifests
from trireme.kubelet.desired.manifests import Origin
from trireme.machinery import time

SECONDS = 10.0
# (URL, headers) -> status and body, which is cut after the limit of a manifest.
Fetch = Callable[[str, Mapping[str, str]], Awaitable[tuple[int, bytes]]]


class Url:
    """The document behind one URL."""

    def __init__(
        self, env: Env, fetch: Fetch, url: str, headers: Mapping[str, str], node: str
    ) -> None:
        self._env, self._fetch, self._url, self._headers = env, fetch, url, headers
        self._node = node
        self._last: bytes | None = None

    async def read(self) -> list[core.Pod] | None:
        """None when nothing has changed. Raises OSError or ``ManifestError``."""
        status, data = await self._fetch(self._url, self._headers)
        if status != 200:
            raise OSError(5, f"{self._url}: status {status}")
        if data == self._last:
            return None
        self._last = data
        if not data:
            return []
        origin = Origin(manifests.HTTP, self._url, self._node)
        return manifests.pods(data, origin, time.format(self._env.clock.now()))


async def fetch(url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Raises OSError."""
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            data = b""
            async for part in response.content.iter_any():
                data += part
                if len(data) > manifests.LIMIT:
                    raise OSError(27, f"{url}: longer than {manifests.LIMIT} bytes")
            return response.status, data
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise OSError(5, f"{url}: {error or type(error).__name__}") from error

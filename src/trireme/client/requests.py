"""Send one request, with retries while the server is busy: used by all verbs.

In: method, path, parameters, body. Out: a successful ``Response`` or an open stream; ``ApiError``
for a refusal, ``Unreachable`` for no answer. A 429, and a 5xx that names a time, is sent again
after that time, as upstream's client does (client-go ``rest/with_retry``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import quote, urlencode

import msgspec

from trireme.client import codec
from trireme.client.transport import Response, Stream, Transport
from trireme.kit.clock import Clock

MAX_RETRIES = 10
JSON = "application/json"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request. ``resource`` and ``name`` are for the words of errors."""

    method: str
    path: str
    parameters: Mapping[str, str] = {}
    body: bytes = b""
    content_type: str = JSON
    accept: str = JSON
    resource: str = ""
    name: str = ""


class Requester:
    """A transport with a User-Agent and retries."""

    def __init__(self, transport: Transport, user_agent: str, clock: Clock) -> None:
        self._transport = transport
        self._agent = user_agent
        self._clock = clock

    async def send(self, call: Call) -> Response:
        """The answer, when it is below 400."""
        query, headers = urlencode(call.parameters), self._headers(call)
        for attempt in range(MAX_RETRIES + 1):
            response = await self._transport.request(
                call.method, call.path, query, headers, call.body
            )
            if response.status < 400:
                return response
            wait = _patience(response)
            if wait <= 0 or attempt == MAX_RETRIES:
                break
            await self._clock.sleep(wait)
        raise codec.failure(response, call.method.lower(), call.resource, call.name)

    @asynccontextmanager
    async def open(self, call: Call) -> AsyncIterator[Stream]:
        """The answer's stream, when its status is below 400. Not sent again: watchers back off."""
        query, headers = urlencode(call.parameters), self._headers(call)
        async with self._transport.stream(
            call.method, call.path, query, headers, call.body
        ) as stream:
            if stream.status >= 400:
                body = b"".join([chunk async for chunk in stream.chunks])
                response = Response(stream.status, stream.headers, body)
                raise codec.failure(response, call.method.lower(), call.resource, call.name)
            yield stream

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {"User-Agent": self._agent, "Accept": call.accept}
        if call.body:
            headers["Content-Type"] = call.content_type
        return headers


def join(*parts: str) -> str:
    """A path of quoted parts; empty ones are left out."""
    return "/" + "/".join(quote(part, safe="") for part in parts if part)


def _patience(response: Response) -> int:
    """Seconds after which the request may be sent again; 0: never."""
    if response.status != 429 and response.status < 500:
        return 0
    return codec.retry_after(response.headers)

"""Webhooks over HTTPS: at a URL, or at a Service of the cluster.

In: the configuration of the client (of apiextensions or of admissionregistration), a body. Out: the
answer. A Service is reached at one of its ready endpoints; its certificate is checked for
``<name>.<namespace>.svc``. Connections are kept; redirects are answers. Upstream: apiserver
``util/webhook`` ClientManager, client-go ``rest``.
"""

from __future__ import annotations

import asyncio
import math
import posixpath
import ssl
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec
from yarl import URL

from trireme.apiserver import outgoing
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.nodes import services
from trireme.apiserver.outgoing import Outgoing
from trireme.kit import tls
from trireme.kit.pki import Pair
from trireme.machinery import errors
from trireme.machinery.status import Status

# Bytes of an answer: more than the largest objects and what patches them.
LIMIT = 16 * 1024 * 1024
# What of a bare answer is quoted.
_QUOTED = 2048


class Credentials(msgspec.Struct, frozen=True):
    """Who the API server is for a webhook: headers, and a client certificate with its key (PEM)."""

    headers: tuple[tuple[str, str], ...] = ()
    certificate: bytes = b""
    key: bytes = b""


ANONYMOUS = Credentials()


class Answer(NamedTuple):
    """What a webhook answered, whole."""

    status: int
    content_type: str
    body: bytes


class Hooks(Protocol):
    """Asks a webhook: its client configuration and a review, as JSON, for its answer."""

    async def __call__(
        self, config: Any, body: bytes, timeout: float, credentials: Credentials = ANONYMOUS
    ) -> Answer: ...


class HttpsHooks:
    """Owned by the API server: ``close`` when done."""

    def __init__(self, reader: Reader, rng: Random) -> None:
        self._reader = reader
        self._rng = rng
        # Of a URL the administrator decides; where a Service leads, others do.
        self._of_url, self._of_service = Outgoing(), Outgoing(filtered=True)
        self._delegate: Hooks | None = None

    def call_through(self, hooks: Hooks) -> None:
        """Let others ask: this process has no connections."""
        self._delegate = hooks

    async def __call__(
        self, config: Any, body: bytes, timeout: float, credentials: Credentials = ANONYMOUS
    ) -> Answer:
        """POST; raises OSError in words when nobody answers in ``timeout`` seconds."""
        if self._delegate is not None:
            return await self._delegate(config, body, timeout, credentials)
        named = f"{url(config)}?timeout={math.ceil(timeout)}s"
        target, server_name = self._target(config, named)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, */*",
            "User-Agent": "kube-apiserver-admission",
            **dict(credentials.headers),
        }
        if server_name is not None:
            headers["Host"] = urlsplit(named).netloc
        outgoing_ = self._of_url if server_name is None else self._of_service
        try:
            async with asyncio.timeout(timeout):
                response = await outgoing_.request(
                    "POST",
                    target,
                    headers,
                    body,
                    tls=_context(config.caBundle, credentials),
                    server_name=server_name,
                )
                content_type = response.headers.get("Content-Type", "")
                return Answer(response.status, content_type, await outgoing.read(response, LIMIT))
        except TimeoutError:
            raise OSError(f'Post "{named}": context deadline exceeded') from None
        except outgoing.FAILURES as problem:
            at = URL(target, encoded=True)
            message = outgoing.explain(problem, at.host or "", at.port or 0)
            raise OSError(f'Post "{named}": {message}') from None

    def _target(self, config: Any, named: str) -> tuple[str, str | None]:
        """The URL to dial, and the name of the server, where it has another one."""
        reference = config.service
        if reference is None:
            return named, None
        at = urlsplit(named)
        port = reference.port or 443
        try:
            host, number = services.resolve(
                self._reader, self._rng, reference.namespace, reference.name, port
            )
        except OSError as problem:
            raise OSError(f'Post "{named}": {problem}') from None
        host = f"[{host}]" if ":" in host else host
        return f"https://{host}:{number}{at.path}?{at.query}", at.hostname

    async def close(self) -> None:
        """Close what is open."""
        for each in (self._of_url, self._of_service):
            await each.close()


def url(config: Any) -> str:
    """The URL of a client configuration, with the path that requests go to."""
    reference = config.service
    if reference is None:
        base = urlsplit(config.url)
        return f"{base.scheme}://{base.netloc}{_path(base.path)}"
    port = reference.port or 443
    path = _path(reference.path or "")
    return f"https://{reference.name}.{reference.namespace}.svc:{port}{path}"


def _path(text: str) -> str:
    return posixpath.normpath(f"/{text.lstrip('/')}")


def failure(answer: Answer) -> errors.ApiError | None:
    """The error that an answer is, in a client's words; None where it is none."""
    if 200 <= answer.status <= 206:
        return None
    try:
        status = msgspec.json.decode(answer.body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    else:
        if status.kind == "Status" and status.status == "Failure":
            return errors.from_status(status)
    media = answer.content_type.partition(";")[0].strip().lower()
    is_text = not media or media.startswith("text/")
    text = answer.body[:_QUOTED].decode(errors="replace").strip() if is_text else "unknown"
    return errors.generic(answer.status, "POST", "", "", text, unexpected=True)


@lru_cache(maxsize=256)
def _context(bundle: bytes, credentials: Credentials) -> ssl.SSLContext:
    own = Pair(credentials.certificate, credentials.key) if credentials.certificate else None
    return tls.client_context(bundle, own)

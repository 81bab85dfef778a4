"""Faults by rule: what goes wrong between clients and the API server, and for whom.

In: rules, made by a test. Out: answers that are errors, late, old or lost, and watches that break:
for components of the cluster and for clients over HTTPS alike, as ``answer`` stands around the
filter chain. Time is the cluster's. Rules are tried in order; of those that match a request the
first of each sort acts, and counts down.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp.web import StreamResponse

from trireme.apiserver import chain
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import Aborted, AnyReply, Reply, StreamReply, UpgradeReply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.client.transport import Unreachable
from trireme.kit.clock import Clock
from trireme.kit.hijack import Hijacked
from trireme.machinery import errors
from trireme.testing.journal import Journal

ERROR, DELAY, LOST, STALE, DROP, PARTITION = "error", "delay", "lost", "stale", "drop", "partition"
# How Status reasons go with codes; upstream: apimachinery ``api/errors``.
_REASONS = {
    400: errors.BAD_REQUEST,
    401: errors.UNAUTHORIZED,
    403: errors.FORBIDDEN,
    404: errors.NOT_FOUND,
    409: errors.CONFLICT,
    410: errors.EXPIRED,
    422: errors.INVALID,
    429: errors.TOO_MANY_REQUESTS,
    500: errors.INTERNAL_ERROR,
    503: errors.SERVICE_UNAVAILABLE,
    504: errors.TIMEOUT,
}
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(eq=False)
class Rule:
    """One fault. ``times`` None: until ``remove``. ``hits`` is how often it has acted."""

    sort: str
    about: Mapping[str, str]
    times: int | None
    act: Callable[..., Any]
    faults: Faults
    hits: int = 0

    def remove(self) -> None:
        """No more of it."""
        if self in self.faults.rules:
            self.faults.rules.remove(self)
            self.faults.touch()

    def matches(self, request: Request) -> bool:
        """Whether the fault is this request's."""
        info, user, about = request.info, request.user, self.about
        agent = request.headers.get("user-agent", "")
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        return (
            _fits("" if user is None else user.name, about["user"])
            and about["user_agent"] in agent
            and (
                about["verb"] in ("", info.verb)
                or (about["verb"] == "write" and info.verb in WRITES)
            )
            and about["resource"] in ("", info.resource, resource)
            and about["namespace"] in ("", info.namespace)
            and _fits(info.name, about["name"])
        )


def _fits(name: str, pattern: str) -> bool:
    return not pattern or fnmatch.fnmatchcase(name, pattern)


class Faults:
    """The rules of a cluster. Every method that makes one takes the same words for what it is
    about: ``user`` (``system:kube-scheduler``; ``*`` stands for anything), ``user_agent`` (a part
    of it), ``verb`` (get, list, watch, create, ..., or ``write`` for all that change), ``resource``
    (``pods``, ``pods/status``), ``namespace``, ``name``; and ``times``."""

    def __init__(self, clock: Clock, journal: Journal, touch: Callable[[], None]) -> None:
        self._clock = clock
        # Called when the rules change.
        self.touch = touch
        self._journal = journal
        self.rules: list[Rule] = []
        self._open: dict[_Watch, None] = {}

    def error(
        self,
        code: int,
        message: str = "",
        *,
        retry_after: int = 0,
        times: int | None = 1,
        **about: str,
    ) -> Rule:
        """Answer with this code: 409, 410, 429, 500, ... A watch that gets 410 gets it as its first
        event, as servers do whose history is too short."""

        def failure(request: Request) -> errors.ApiError:
            text = message or f"injected by the test: {request.method} {request.path}"
            if code == 429:
                return errors.too_many_requests(text, retry_after)
            return errors.ApiError(code, _REASONS.get(code, errors.UNKNOWN), text)

        return self._rule(ERROR, failure, times, about)

    def delay(self, seconds: float, *, times: int | None = None, **about: str) -> Rule:
        """Answer so much later: slow lists, time-outs of clients."""
        return self._rule(DELAY, lambda request: seconds, times, about)

    def lost_response(self, *, times: int | None = 1, **about: str) -> Rule:
        """Carry out the request, and break the connection instead of the answer."""
        about.setdefault("verb", "write")
        return self._rule(LOST, lambda request: None, times, about)

    def stale(self, seconds: float, *, times: int | None = None, **about: str) -> Rule:
        """Answer get and list with what was there so many seconds ago, as a cache that is late. As
        far as the history goes; with less, with its beginning."""
        return self._rule(STALE, lambda request: seconds, times, about)

    def drop_watches(self, **about: str) -> int:
        """Break the watches that are open now; how many."""
        about["verb"] = "watch"
        rule = self._made(DROP, lambda request: None, None, about)
        broken = [watch for watch in self._open if rule.matches(watch.request)]
        for watch in broken:
            watch.break_()
        return len(broken)

    def drop_after(self, seconds: float, *, times: int | None = None, **about: str) -> Rule:
        """Break every watch so long after its beginning."""
        about.setdefault("verb", "watch")
        return self._rule(DROP, lambda request: seconds, times, about)

    def partition(self, **about: str) -> Rule:
        """Nothing gets through, and open watches break, until ``remove``."""
        rule = self._rule(PARTITION, lambda request: None, None, about)
        for watch in [watch for watch in self._open if rule.matches(watch.request)]:
            watch.break_()
        return rule

    def clear(self) -> None:
        """No more faults."""
        self.rules.clear()
        self.touch()

    async def answer(self, server: ApiServer, request: Request) -> AnyReply:
        """What stands in place of ``chain.handle``."""
        if not self.rules:
            return self._tracked(request, await chain.handle(server, request), None)
        if request.user is None:
            try:
                request.user = await server.context.authenticator.authenticate(request)
            except errors.ApiError:
                return await chain.handle(server, request)
        found = self._take(request)
        if PARTITION in found:
            return _broken(request)
        if DELAY in found:
            await self._clock.sleep(found[DELAY])
        if ERROR in found:
            failure = found[ERROR]
            if failure.code == 410 and request.info.verb == "watch":
                return StreamReply(_one(_error_event(failure)))
            return chain.complete(request, reply.error(failure))
        if STALE in found:
            stale = self._at(server, request, self._clock.now() - found[STALE])
            if stale is not None:
                return await self._past(server, *stale)
        answer = await chain.handle(server, request)
        if LOST in found:
            if isinstance(answer, StreamReply):
                await answer.chunks.aclose()
            return _broken(request)
        return self._tracked(request, answer, found.get(DROP))

    def _take(self, request: Request) -> dict[str, Any]:
        """The rules of a request, by their sort; each is used once more."""
        found: dict[str, Any] = {}
        for rule in list(self.rules):
            if rule.sort in found or not rule.matches(request):
                continue
            rule.hits += 1
            if rule.times is not None and rule.hits >= rule.times:
                rule.remove()
            found[rule.sort] = rule.act(request)
        return found

    def _rule(
        self, sort: str, act: Callable[..., Any], times: int | None, about: dict[str, str]
    ) -> Rule:
        rule = self._made(sort, act, times, about)
        self.rules.append(rule)
        self.touch()
        return rule

    def _made(
        self, sort: str, act: Callable[..., Any], times: int | None, about: dict[str, str]
    ) -> Rule:
        words = ("user", "user_agent", "verb", "resource", "namespace", "name")
        unknown = sorted(set(about) - set(words))
        if unknown:
            raise TypeError(f"unknown: {', '.join(unknown)}; known are {', '.join(words)}")
        found = {word: about.get(word, "") for word in words}
        return Rule(sort, found, times, act, self)

    def _tracked(self, request: Request, answer: AnyReply, after: float | None) -> AnyReply:
        """A watch that can be broken."""
        if isinstance(answer, StreamReply) and request.info.verb == "watch":
            answer.chunks = watch = _Watch(request, answer.chunks, self._open)
            if after is not None:
                asyncio.get_running_loop().call_later(after, watch.break_)
        return answer

    def _at(self, server: ApiServer, request: Request, moment: float) -> tuple[Request, str] | None:
        """The request for an older state, and the name of the one object that is wanted."""
        info = request.info
        if info.verb not in ("get", "list") or info.subresource or not info.resource:
            return None
        revision = max(server.context.store.compacted, 1)
        for change in reversed(self._journal.changes):
            if change.at <= moment:
                revision = max(revision, change.revision)
                break
        path, name, query = request.path, "", request.raw_query
        if info.verb == "get":
            path, _, name = path.rpartition("/")
            query = f"fieldSelector=metadata.name%3D{name}"
        kept = [
            part for part in query.split("&") if part and not part.startswith("resourceVersion")
        ]
        kept += [f"resourceVersion={revision}", "resourceVersionMatch=Exact"]
        headers = dict(request.headers)
        if name:
            headers["accept"] = "application/json"
        return Request("GET", path, "&".join(kept), headers, user=request.user), name

    async def _past(self, server: ApiServer, request: Request, name: str) -> AnyReply:
        answer = await chain.handle(server, request)
        if not name or not isinstance(answer, Reply) or answer.status != 200:
            return answer
        listed = json.loads(answer.body)
        if not listed["items"]:
            info = request.info
            resource = f"{info.resource}.{info.group}".rstrip(".")
            return reply.error(errors.not_found(resource, name))
        item = listed["items"][0]
        item |= {"apiVersion": listed["apiVersion"], "kind": listed["kind"].removesuffix("List")}
        return Reply(200, json.dumps(item).encode())


class _Watch:
    """The chunks of a watch that can be broken from outside."""

    def __init__(self, request: Request, chunks: Any, opened: dict[_Watch, None]) -> None:
        self.request = request
        self._chunks = chunks
        self._opened = opened
        self._broken = False
        self._reader: asyncio.Task[Any] | None = None
        opened[self] = None

    def break_(self) -> None:
        self._broken = True
        if self._reader is not None:
            self._reader.cancel()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._broken:
            raise self._problem()
        self._reader = asyncio.current_task()
        try:
            chunk: bytes = await self._chunks.__anext__()
            return chunk
        except asyncio.CancelledError:
            # As ``asyncio.timeout`` does: it was for this wait only, unless somebody else cancels.
            if self._broken and self._reader is not None and self._reader.uncancel() <= 0:
                raise self._problem() from None
            raise
        finally:
            self._reader = None

    async def aclose(self) -> None:
        self._opened.pop(self, None)
        await self._chunks.aclose()

    def _problem(self) -> Exception:
        if self.request.upgrade is not None:
            return Aborted()
        return Unreachable(f"{self.request.path}: the stream broke")


def _broken(request: Request) -> AnyReply:
    """The connection breaks; in process, the call."""
    incoming = request.upgrade
    if incoming is None:
        raise Unreachable(f"{request.method} {request.path}: the connection broke")

    async def abort(_connection: Any) -> StreamResponse:
        if incoming.transport is not None:
            incoming.transport.abort()
        return Hijacked()

    return UpgradeReply(abort)


def _error_event(failure: errors.ApiError) -> bytes:
    return msgspec.json.encode({"type": "ERROR", "object": failure.status()}) + b"\n"


async def _one(chunk: bytes) -> AsyncGenerator[bytes, None]:
    yield chunk

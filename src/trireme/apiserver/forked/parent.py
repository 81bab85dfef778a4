"""The server's end of a forked process.

In: a request that may be answered and would take long. Out: its answer. The process asks for what
reaches beyond it; each question is carried out here, on the event loop, as if the request had been
answered here. Called by ``chain``.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import signal
import socket
import warnings
from typing import Any

import msgspec

from trireme.api.apiextensions.v1.types import WebhookClientConfig
from trireme.apiserver.bodies import Budget, Share
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.forked import child, estimate, messages
from trireme.apiserver.forked.estimate import Work
from trireme.apiserver.forked.messages import HEAD, Message
from trireme.apiserver.forked.slots import Slots
from trireme.apiserver.registry import Allocation
from trireme.apiserver.reply import negotiate
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import ANONYMOUS, READ_VERBS, Request, is_long_running
from trireme.machinery import errors
from trireme.store import contract as stores
from trireme.store.contract import Value

# Seconds that a long request has; upstream's --request-timeout.
TIMEOUT = 60.0
# Bytes of answers that clients have not taken yet, all together.
UNREAD = 256 * 1024 * 1024
# Bodies and objects below this size are never long.
_SMALL = 16 * 1024
# So many objects of a list are looked at to know how large all are.
_SAMPLE = 50
# Answers below this size are read at once.
_SHORT = 64 * 1024
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_APPLY = "application/apply-patch+yaml"
_FORMS = {
    negotiate.YAML: estimate.YAML,
    negotiate.PROTOBUF: estimate.PROTOBUF,
    negotiate.CBOR: estimate.CBOR,
}


def is_long(context: ServerContext, request: Request) -> bool:
    """Whether a request takes too long for the event loop. Cheap where it does not."""
    info = request.info
    plain = request.headers.get("accept", "") in ("", negotiate.JSON)
    if plain and info.verb == "get":
        return False
    if not info.resource or is_long_running(info):
        return False
    if plain and info.verb == "list" and not negotiate.pretty(request):
        return False
    small = plain and len(request.body) < _SMALL
    if small and info.verb in ("create", "deletecollection"):
        return False
    if context.authorizer.is_remote and info.verb not in READ_VERBS:
        # That process has no connections, and writes may ask more than one question.
        return False
    endpoint, custom = _endpoint(context, request)
    if endpoint is None or context.routes.find(info) is not None:
        return False
    if small and info.name and info.verb != "list":
        item = context.store.get(endpoint.key(info.namespace, info.name))
        if item is None or len(item.value) < _SMALL:
            return False
    return estimate.is_long(_work(context, request, endpoint, custom))


def _endpoint(context: ServerContext, request: Request) -> tuple[Endpoint | None, bool]:
    """What the request is about, and whether a definition defines it."""
    at = request.info.group, request.info.version, request.info.resource
    endpoint = context.served.endpoints.get(at)
    return (
        (endpoint, False) if endpoint is not None else (context.served.custom.endpoint(*at), True)
    )


def _work(context: ServerContext, request: Request, endpoint: Endpoint, custom: bool) -> Work:
    info, store = request.info, context.store
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == _APPLY and request.body[:1] == b"{":
        media = negotiate.JSON
    stored = answered = objects = 0
    if info.verb == "list":
        prefix = endpoint.prefix(info.namespace)
        objects = store.count(prefix)
        limit = request.param("limit")
        if limit.isdecimal() and int(limit):
            objects = min(objects, int(limit))
        if objects:
            first = store.list(prefix, limit=min(objects, _SAMPLE)).items
            answered = sum(len(item.value) for item in first) * objects // len(first)
    elif info.name:
        item = store.get(endpoint.key(info.namespace, info.name))
        stored, objects = 0 if item is None else len(item.value), 1
        answered = max(stored, len(request.body))
    writes = info.verb in _WRITES
    form = _form(request, endpoint)
    return Work(media, len(request.body), stored, custom, writes, form, answered, objects)


def _form(request: Request, endpoint: Endpoint) -> str:
    try:
        form = negotiate.of(request, endpoint.served)
    except errors.ApiError:
        return estimate.JSON
    if form.kind == negotiate.TABLE:
        return estimate.TABLE
    if form.media == negotiate.PROTOBUF and request.info.verb == "list":
        # Made in turns, and kept for the next one and for watchers.
        return estimate.JSON
    if form.media in _FORMS:
        return _FORMS[form.media]
    if form.pretty:
        return estimate.PRETTY
    return estimate.JSON if form.kind == negotiate.PLAIN else estimate.METADATA


class Forks:
    """The processes of one server: ``count`` at a time."""

    def __init__(self, count: int) -> None:
        self._slots = Slots(count)
        self._unread = Budget(UNREAD)

    async def answer(
        self, context: ServerContext, request: Request, answers: child.Answers
    ) -> AnyReply:
        """The answer of a process of its own. 504 where it takes too long."""
        user = (request.user or ANONYMOUS).name
        share = Share(self._unread, user)
        request.at_end(share.close)
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._unread.take(share, 1)
                async with self._slots.one(user):
                    await context.store.barrier()
                    return await _answered(context, request, answers, share)
        except TimeoutError:
            message = "request did not complete within the allotted timeout"
            raise errors.timeout(message) from None


async def _answered(
    context: ServerContext, request: Request, answers: child.Answers, share: Share
) -> AnyReply:
    endpoint, _ = _endpoint(context, request)
    assert endpoint is not None, "a long request is about something"
    with contextlib.ExitStack() as undo:
        parent_end, child_end = socket.socketpair()
        file = os.memfd_create("answer")
        undo.callback(os.close, file)
        undo.callback(parent_end.close)
        try:
            pid = _fork()
        except OSError as problem:
            child_end.close()
            context.env.log.warning("answered without a process of its own: %s", problem)
            return await answers(context, request)
        if not pid:
            child.run(context, request, answers, child_end, file)
        process = _Process(pid)
        undo.callback(process.kill)
        child_end.close()
        done = await _Connection(context, endpoint.hub, parent_end).serve()
        if done is None:
            how = await process.ended
            raise RuntimeError(f"the process that was to answer ended with status {how}")
        share.hold(done.length)
        request.annotations.update(done.annotations)
        return _reply(done, file)


def _fork() -> int:
    with warnings.catch_warnings():
        # Python warns where there are other threads: they may hold locks, which nobody releases in
        # the process. It uses nothing that they do: no store, no network, no look-up of names.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _reply(done: messages.Done, file: int) -> Reply:
    if done.length <= _SHORT:
        reply = Reply(body=os.pread(file, done.length, 0))
    else:
        whole = memoryview(mmap.mmap(file, done.length, prot=mmap.PROT_READ))
        reply = Reply.joined([whole], done.length)
    reply.status, reply.content_type = done.status, done.content_type
    reply.headers, reply.warnings = done.headers, done.warnings
    return reply


class _Process:
    """A forked process, and its end."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._loop = asyncio.get_running_loop()
        self._fd = os.pidfd_open(pid)
        # How it ended, as of ``os.waitstatus_to_exitcode``.
        self.ended: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._fd, self._reap)

    def kill(self) -> None:
        """End it where it has not ended."""
        if not self.ended.done():
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)

    def _reap(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        _, status = os.waitpid(self._pid, 0)
        self.ended.set_result(os.waitstatus_to_exitcode(status))


class _Connection:
    """Carries out what the process asks for."""

    def __init__(self, context: ServerContext, hub: Endpoint, line: socket.socket) -> None:
        self._context = context
        # The stored version of the kind that the request is about.
        self._hub = hub
        self._line = line
        # What gives back the allocations that are not stored.
        self._allocations: list[Allocation] = []

    async def serve(self) -> messages.Done | None:
        """The last word; None where it ended without one."""
        self._line.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=self._line, limit=1 << 20)
        try:
            while True:
                (length,) = HEAD.unpack(await reader.readexactly(HEAD.size))
                question = messages.question(await reader.readexactly(length))
                if isinstance(question, messages.Done):
                    return question
                writer.write(messages.packed(await self._answer(question)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        finally:
            writer.close()
            await self._undo()

    async def _answer(self, question: messages.Question) -> Message:
        try:
            return await self._handle(question)
        except (stores.StoreError, errors.ApiError, OSError) as problem:
            return messages.from_error(problem)

    async def _handle(self, question: messages.Question) -> Message:
        context, store = self._context, self._context.store
        match question:
            case messages.Create(key, head, tail, ttl):
                return await self._stored(await store.create(key, Value(head, tail), ttl))
            case messages.Update(key, head, tail, expect, ttl):
                return await self._stored(await store.update(key, Value(head, tail), expect, ttl))
            case messages.Delete(key, head, tail, expect):
                try:
                    item = await store.delete(key, expect, Value(head, tail))
                except asyncio.CancelledError:
                    # The client has gone, the deletion is on its way all the same.
                    self._forget(key, head + b"0" + tail)
                    raise
                last = self._forget(key, item.value)
                if last is not None:
                    await context.registry.give_back(self._hub, last)
                return await self._stored(item)
            case messages.Allocate(position, new, old, dry_run):
                return await self._allocated(position, new, old, dry_run)
            case messages.Undo():
                await self._undo()
            case messages.CallWebhook(config, body, timeout, credentials):
                target = msgspec.json.decode(config, type=WebhookClientConfig)
                answer = await context.hooks(target, body, timeout, credentials)
                return messages.WebhookReply(*answer)
        return messages.Ok()

    async def _stored(self, item: stores.KeyValue) -> Message:
        while self._allocations:
            await self._allocations.pop().commit()
        return messages.Stored(item.revision, item.created)

    async def _allocated(
        self, position: int, new: bytes, old: bytes | None, dry_run: bool
    ) -> Message:
        obj = self._decode(new)
        was = None if old is None else self._decode(old)
        allocator = self._context.registry.allocators[position]
        self._allocations.append(await allocator.allocate(obj, was, dry_run))
        return messages.Allocated(msgspec.json.encode(obj))

    def _forget(self, key: str, last: bytes) -> Any:
        """The deleted object, where something was allocated to it."""
        registry, endpoint = self._context.registry, self._hub
        allocates = any(allocator.handles(endpoint) for allocator in registry.allocators)
        obj = endpoint.decode(last) if allocates else None
        registry.forget(endpoint, key, obj)
        return obj

    def _decode(self, data: bytes) -> Any:
        return self._hub.decode(data)

    async def _undo(self) -> None:
        while self._allocations:
            await self._allocations.pop().undo()

"""The forked process: answers one request with what the server knew when it was forked.

In: the server's context, as memory has it, a request, a socket to the parent. Out: the answer; its
body in a file that the parent has as well. Reads are of the memory, which nobody changes any more;
all that reaches beyond (writes, allocations, webhooks) the parent does. Whatever happens, the
process ends here: it never returns into what it was forked from.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn, Protocol

import msgspec

from trireme.apiserver.context import ServerContext
from trireme.apiserver.forked import messages
from trireme.apiserver.forked.messages import HEAD, Message
from trireme.apiserver.hooks import ANONYMOUS, Answer, Credentials
from trireme.apiserver.registry import Allocation
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request
from trireme.kit.env import Env
from trireme.kit.turns import Turns
from trireme.store.contract import Conflict, KeyExists, KeyMissing, KeyValue, Store, Value

_PR_SET_PDEATHSIG = 1
# Others on the machine go first, the server above all.
_NICE = 10
_PIECE = 1024 * 1024
_HIGHEST_FD = 1 << 20

_encode = msgspec.json.Encoder().encode
_libc = ctypes.CDLL(None, use_errno=True)


class Answers(Protocol):
    """The server's way from a request that may be answered to its answer."""

    async def __call__(self, context: ServerContext, request: Request, /) -> AnyReply: ...


def run(
    context: ServerContext, request: Request, answers: Answers, connection: socket.socket, file: int
) -> NoReturn:
    """Answer the request, tell the parent, end."""
    code = 1
    try:
        _detach(context.env, connection.fileno(), file)
        channel = _Channel(connection)
        context = _redirected(context, channel)
        answer = asyncio.new_event_loop().run_until_complete(answers(context, request))
        if not isinstance(answer, Reply):
            raise TypeError(f"{request.method} {request.path}: an answer without an end")
        length = _write(answer, file)
        channel.send(
            messages.Done(
                answer.status,
                answer.content_type,
                dict(answer.headers),
                list(answer.warnings),
                request.annotations,
                length,
            )
        )
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _detach(env: Env, *kept: int) -> None:
    """Let go of everything that is the parent's, and end when it does."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    asyncio._set_running_loop(None)
    signal.set_wakeup_fd(-1)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_DFL)
    # Connections would stay open, and the store's file locked, as long as this process has them.
    last = 2
    for fd in sorted(kept):
        os.closerange(last + 1, fd)
        last = fd
    os.closerange(last + 1, _HIGHEST_FD)
    os.nice(_NICE)
    # What is there already is not looked at: that would copy it.
    gc.freeze()
    # Else the next process would draw the same names.
    env.rng.seed()


def _write(answer: Reply, file: int) -> int:
    for piece in answer.pieces(_PIECE):
        left = memoryview(piece)
        while left:
            left = left[os.write(file, left) :]
    return answer.length


def _redirected(context: ServerContext, channel: _Channel) -> ServerContext:
    """The context with what reaches beyond this process left to the parent."""
    registry = context.registry
    # The verbs that a child uses, not the whole contract.
    registry.store = _ForwardedStore(context.store, channel)  # type: ignore[assignment]
    registry.allocators = [
        _Allocator(allocator.handles, position, channel)
        for position, allocator in enumerate(registry.allocators)
    ]
    context.hooks.call_through(channel.ask)
    # Nobody else waits for a turn here; the parent's is bound to its own loop.
    store: Any = _Reads(context.store)
    return replace(context, store=store, turns=Turns(context.env.clock))


class _Channel:
    """The line to the parent. Nobody else works in this process, so it just waits."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.setblocking(True)

    def send(self, message: Message) -> None:
        self._connection.sendall(messages.packed(message))

    def call(self, message: Message) -> Any:
        """What the parent answers; raises what it refuses with."""
        self.send(message)
        (length,) = HEAD.unpack(self._read(HEAD.size))
        answer = messages.answer(self._read(length))
        if isinstance(answer, messages.Failed):
            raise messages.error(answer)
        return answer

    async def ask(
        self, config: Any, body: bytes, timeout: float, credentials: Credentials = ANONYMOUS
    ) -> Answer:
        """Ask a webhook."""
        answer = self.call(messages.CallWebhook(_encode(config), body, timeout, credentials))
        return Answer(answer.status, answer.content_type, answer.body)

    def _read(self, size: int) -> bytes:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            count = self._connection.recv_into(view)
            if not count:
                # The parent has gone, or given up on the request.
                os._exit(0)
            view = view[count:]
        return bytes(data)


class _Reads:
    """The store as it was at the fork: what it has is the newest."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def barrier(self) -> int:
        return self._store.revision


class _ForwardedStore:
    """The store as the registry uses it: reads of what was there, and of what was written since."""

    # Its reads are those of the moment when it was forked.
    shared = False

    def __init__(self, store: Store, channel: _Channel) -> None:
        self._store = store
        self._channel = channel
        self._newer: dict[str, KeyValue | None] = {}

    def get(self, key: str) -> KeyValue | None:
        return self._newer[key] if key in self._newer else self._store.get(key)

    def stale(self, key: str) -> bool:
        return self._store.stale(key)

    async def create(self, key: str, value: Value, ttl: int) -> KeyValue:
        item = self._newer[key] = self._write(messages.Create(key, *value, ttl))
        return item

    async def update(self, key: str, value: Value, expect: int, ttl: int) -> KeyValue:
        item = self._newer[key] = self._write(messages.Update(key, *value, expect, ttl))
        return item

    async def delete(self, key: str, expect: int, value: Value) -> KeyValue:
        item = self._write(messages.Delete(key, *value, expect))
        self._newer[key] = None
        return item

    def _write(self, write: messages.Create | messages.Update | messages.Delete) -> KeyValue:
        try:
            stored = self._channel.call(write)
        except (KeyExists, Conflict) as conflict:
            self._newer[write.key] = conflict.current
            raise
        except KeyMissing:
            self._newer[write.key] = None
            raise
        value = b"%b%d%b" % (write.head, stored.revision, write.tail)
        return KeyValue(write.key, value, stored.revision, stored.created)


class _Allocator:
    """An allocator whose state is in the parent."""

    def __init__(self, handles: Callable[[Any], bool], position: int, channel: _Channel) -> None:
        self.handles = handles
        self._position = position
        self._channel = channel

    async def allocate(self, new: Any, old: Any, dry_run: bool) -> Allocation:
        was = None if old is None else _encode(old)
        answer = self._channel.call(messages.Allocate(self._position, _encode(new), was, dry_run))
        filled = msgspec.json.decode(answer.new, type=type(new))
        for field in new.__struct_fields__:
            setattr(new, field, getattr(filled, field))
        return _Allocation(self._channel)

    def release(self, old: Any) -> None:
        """The parent does, with the deletion."""

    async def give_back(self, old: Any) -> None:
        """The parent does, with the deletion."""


class _Allocation:
    def __init__(self, channel: _Channel) -> None:
        self._channel = channel

    async def undo(self) -> None:
        self._channel.call(messages.Undo())

    async def commit(self) -> None:
        """The parent does, with the write."""

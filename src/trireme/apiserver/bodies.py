"""The bodies of requests: read once it is known who sends them, bounded each and all together.

In: a request whose sender may do what the head asks for. Out: its body. A body is at most
``BODY_LIMIT``; what all of them hold together is a ``Budget``. Called by ``serve``. What is too
much, too slow or broken is an ``ApiError``. Upstream: limitedReadBody of ``endpoints/handlers``;
``Expect: 100-continue`` as Go's server has it: 100 Continue is sent when the body is read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from aiohttp import HttpVersion11
from aiohttp.web_protocol import RequestPayloadError
from aiohttp.web_request import BaseRequest

from trireme.apiserver.request import ANONYMOUS, Request
from trireme.machinery import errors

BODY_LIMIT = 3 * 1024 * 1024
# What each request may hold without asking: nearly all bodies come whole with their head.
SMALL = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Budget:
    """Bytes that all requests hold together, no user more than half of them.

    Who finds no room waits, the oldest first. So that requests which have read a part do not wait
    for each other for ever, one may go beyond the limit.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self._of_user: Counter[str] = Counter()
        self._line: list[tuple[asyncio.Future[None], Share, int]] = []
        self._beyond: Share | None = None
        # Called when something was given back.
        self.freed: Callable[[], None] = lambda: None

    async def take(self, share: Share, size: int) -> None:
        """Let a request hold so many bytes more, once there is room."""
        if self._has_room(share, size) or self._goes_beyond(share):
            self.hand_out(share, size)
            return
        turn = asyncio.get_running_loop().create_future()
        self._line.append((turn, share, size))
        try:
            await turn
        except asyncio.CancelledError:
            self._advance()
            raise

    def try_take(self, share: Share, size: int) -> bool:
        """The same where there is room now."""
        if not self._has_room(share, size):
            return False
        self.hand_out(share, size)
        return True

    def hand_out(self, share: Share, size: int) -> None:
        """The same whether there is room or not."""
        self.held += size
        self._of_user[share.user] += size
        share.size += size

    def release(self, share: Share) -> None:
        """The request is over."""
        self.held -= share.size
        self._of_user[share.user] -= share.size
        if not self._of_user[share.user]:
            del self._of_user[share.user]
        share.size = 0
        if share is self._beyond:
            self._beyond = None
        self._advance()
        self.freed()

    def _has_room(self, share: Share, size: int) -> bool:
        own = self._of_user[share.user] + size
        return self.held + size <= self.limit and own <= self.limit // 2

    def _goes_beyond(self, share: Share) -> bool:
        if self._beyond is None:
            self._beyond = share
        return share is self._beyond

    def _advance(self) -> None:
        waiting, self._line = self._line, []
        for entry in waiting:
            turn, share, size = entry
            if turn.cancelled():
                continue
            if self._has_room(share, size) or self._goes_beyond(share):
                self.hand_out(share, size)
                turn.set_result(None)
            else:
                self._line.append(entry)


class Share:
    """What one request of a user holds of a budget."""

    __slots__ = ("_budget", "size", "user")

    def __init__(self, budget: Budget, user: str) -> None:
        self._budget = budget
        self.user = user
        self.size = 0

    async def grow(self, size: int) -> None:
        """Hold so many bytes more; beyond a little, once there is room."""
        if self.size + size <= SMALL:
            self._budget.hand_out(self, size)
        else:
            await self._budget.take(self, size)

    def try_grow(self, size: int) -> bool:
        """Hold so many bytes more if there is room now."""
        return self._budget.try_take(self, size)

    def hold(self, size: int) -> None:
        """Hold so many bytes more, which are there already."""
        self._budget.hand_out(self, size)

    def close(self) -> None:
        """Give everything back."""
        if self.size:
            self._budget.release(self)


def has_unknown_expectation(incoming: BaseRequest) -> bool:
    """Whether the client expects what no server here does: it is answered 417."""
    expectation = incoming.headers.get("Expect", "")
    return bool(expectation) and not _expects_continue(expectation)


def is_unread(incoming: BaseRequest) -> bool:
    """Whether the client may still send some of its body, or waits for 100 Continue."""
    return incoming.body_exists and not incoming.content.is_eof()


async def read(incoming: BaseRequest, budget: Budget, timeout: float, request: Request) -> bytes:
    """The body; it has ``timeout`` seconds to arrive and to find room. What it holds of the budget
    it gives back when the request is closed."""
    content = incoming.content
    body = b""
    if content.is_eof():
        # All of it came with the head, as short ones do: they are not counted.
        body = content.read_nowait()
        if len(body) <= SMALL:
            return body
    share = Share(budget, (request.user or ANONYMOUS).name)
    request.at_end(share.close)
    if body:
        await share.grow(len(body))
        return body
    try:
        async with asyncio.timeout(timeout):
            return await _arrived(incoming, share)
    except TimeoutError:
        raise errors.timeout("the request's body did not arrive") from None
    except RequestPayloadError as problem:
        raise errors.bad_request(f"the request's body: {problem}") from None


async def _arrived(incoming: BaseRequest, share: Share) -> bytes:
    content = incoming.content
    if (incoming.content_length or 0) > BODY_LIMIT:
        raise _too_large()
    if not content.is_eof() and incoming.transport is not None and _waits_for_continue(incoming):
        incoming.transport.write(_CONTINUE)
    pieces: list[bytes] = []
    size = 0
    while piece := await content.readany():
        size += len(piece)
        if size > BODY_LIMIT:
            raise _too_large()
        await share.grow(len(piece))
        pieces.append(piece)
    return b"".join(pieces)


def _waits_for_continue(incoming: BaseRequest) -> bool:
    """Whether the client waits for 100 Continue."""
    return incoming.version >= HttpVersion11 and _expects_continue(
        incoming.headers.get("Expect", "")
    )


def _expects_continue(expectation: str) -> bool:
    return "100-continue" in (token.strip().lower() for token in expectation.split(","))


def _too_large() -> errors.ApiError:
    return errors.request_entity_too_large(f"limit is {BODY_LIMIT}")

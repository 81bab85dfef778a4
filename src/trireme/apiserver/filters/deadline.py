"""How long a request may last: 504 beyond.

In: a request, before anything else is known of it. Out: nothing, or 400 for a ``timeout`` parameter
that is none. ``expired`` says of a cancelled request that its time was over. Not for requests that
last (watches, streams). One timer for all: setting one for each would cost more than what most
requests wait for. Upstream: apiserver ``endpoints/filters/request_deadline.go``,
``server/filters/timeout.go``; a write has 34 seconds.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from trireme.apiserver.request import READ_VERBS, Request, is_long_running
from trireme.kit.clock import Clock
from trireme.machinery import errors, time

# Seconds that a write has at most.
LONGEST_WRITE: Final = 34.0
_OVER: Final = "request did not complete within the allotted timeout"
_WRITE_OVER: Final = "request did not complete within requested timeout - context deadline exceeded"


class Deadlines:
    """The requests that are being answered. ``timeout``: seconds that each has."""

    def __init__(self, clock: Clock, timeout: float) -> None:
        self._now = clock.monotonic
        self._timeout = timeout
        # Those whose time ends in the order in which they came.
        self._reading = _Running(clock, timeout)
        self._writing = _Running(clock, min(timeout, LONGEST_WRITE))
        # Those that the client gave less, with the timer of each.
        self._timers: dict[Request, asyncio.TimerHandle] = {}
        self._expired: set[Request] = set()

    def begin(self, request: Request) -> None:
        """The request's time begins. ApiError 400."""
        info = request.info
        if is_long_running(info):
            return
        task = asyncio.current_task()
        if "timeout" in request.query and self._asked(request, task):
            return
        reading = info.verb in READ_VERBS or not info.resource
        (self._reading if reading else self._writing).begin(request, task)

    def _asked(self, request: Request, task: asyncio.Task[Any] | None) -> bool:
        """The client's own timeout, where it is shorter."""
        text = request.param("timeout")
        if not text:
            return False
        try:
            seconds = time.parse_duration(text)
        except ValueError as error:
            raise errors.bad_request(
                f"invalid timeout specified in the request URL - {error}"
            ) from None
        if not 0 < seconds < self._timeout:
            return False
        request.deadline = seconds
        loop = asyncio.get_running_loop()
        self._timers[request] = loop.call_later(seconds, self._expire, request, task)
        return True

    def _expire(self, request: Request, task: asyncio.Task[Any] | None) -> None:
        self._expired.add(request)
        if task is not None:
            task.cancel()

    def end(self, request: Request) -> None:
        """The request has been answered, but for the writing of the answer."""
        if not self._reading.end(request):
            self._writing.end(request)
        if self._timers:
            timer = self._timers.pop(request, None)
            if timer is not None:
                timer.cancel()

    def expired(self, request: Request) -> errors.ApiError | None:
        """The error of a request that was cancelled because its time was over; None where somebody
        else cancelled it."""
        writing = request in self._writing.expired
        if not writing and request not in self._reading.expired and request not in self._expired:
            return None
        for expired in (self._writing.expired, self._reading.expired, self._expired):
            expired.discard(request)
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        return errors.timeout(_WRITE_OVER if writing else _OVER)


class _Running:
    """Requests that have the same time: the first that came is the first that is over."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._now = clock.monotonic
        self._seconds = seconds
        self._running: dict[Request, tuple[asyncio.Task[Any] | None, float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.expired: set[Request] = set()

    def begin(self, request: Request, task: asyncio.Task[Any] | None) -> None:
        self._running[request] = task, self._now() + self._seconds
        if self._timer is None:
            self._check_in(self._seconds)

    def end(self, request: Request) -> bool:
        """Whether it was one of these."""
        return self._running.pop(request, None) is not None

    def _check_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._check)

    def _check(self) -> None:
        """Cancel what is over; the timer is set for the next, if there is one."""
        self._timer = None
        now = self._now()
        for request, (task, due) in self._running.items():
            if due > now:
                self._check_in(due - now)
                return
            if request not in self.expired:
                self.expired.add(request)
                if task is not None:
                    task.cancel()

"""List and watch: one resource as an endless sequence of events without gaps.

In: a ``ResourceInterface`` and a selection. Out: ``Init``, ``InitApply`` ..., ``InitDone`` for a
list (the reader replaces all that it had), ``Apply`` and ``Delete`` for what changes afterwards.
Called by ``runtime/informer``. The protocol is a table of states:

    Empty      → list a page                → Paging, or Listed after the last page
    Paging     → list the next page         → Paging, or Listed; token expired (410) → Empty
    Listed     → open a watch there         → Watching; too old (410) or unknown revision → Empty
    Watching   → read the next events       → Watching at the last's revision; end → Listed there

After any other failure the state is kept, and retried after a backoff with jitter. Rules:
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Generic, TypeVar

import msgspec

from trireme.client.codec import Unreadable
from trireme.client.resource_interface import BOOKMARK, DELETED, ResourceInterface, WatchEvent
from trireme.kit.backoff import Backoff
from trireme.kit.env import Env
from trireme.machinery import errors

T = TypeVar("T")

PAGE = 500
# A watch ends by itself after this long, up to twice as long, so that watchers spread.
WATCH_SECONDS = 300.0
# A watch that ended sooner without an event counts as a failure.
SHORT_SECONDS = 1.0
FIRST_RETRY, LAST_RETRY = 0.2, 30.0
# Failures further apart than this have nothing to do with each other.
RESET_SECONDS = 120.0


class Init(msgspec.Struct, frozen=True):
    """A list begins; an incomplete list before it is void."""


class InitApply(msgspec.Struct, Generic[T], frozen=True):
    """Some objects of the list that began."""

    objects: list[T]


class InitDone(msgspec.Struct, frozen=True):
    """The list, of ``revision``, is complete: what is not in its pages does not exist."""

    revision: str


class Apply(msgspec.Struct, Generic[T], frozen=True):
    """An object was added or changed."""

    object: T


class Delete(msgspec.Struct, Generic[T], frozen=True):
    """An object was deleted, or left the selection; its last state."""

    object: T


Event = Init | InitApply[T] | InitDone | Apply[T] | Delete[T]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What to watch: a namespace ("" for all), selectors in their string forms."""

    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""


class Empty(msgspec.Struct, frozen=True):
    """Nothing is known, or what was known is too old to go on from."""


class Paging(msgspec.Struct, frozen=True):
    """A part of the list has come; ``token`` leads to the next."""

    token: str


class Listed(msgspec.Struct, frozen=True):
    """Everything up to ``revision`` is known, and no watch is open."""

    revision: str


class Watching(msgspec.Struct, frozen=True):
    """Everything up to ``revision`` is known, and ``events`` brings what follows, in lists."""

    revision: str
    events: AsyncGenerator[list[WatchEvent[Any]], None]
    opened: float
    received: bool = False


State = Empty | Paging | Listed | Watching


class Watcher(Generic[T]):
    """The state machine. ``events`` may be iterated once."""

    def __init__(
        self,
        handle: ResourceInterface[T],
        selection: Selection,
        env: Env,
        lists: asyncio.Semaphore | None = None,
    ) -> None:
        """``lists`` is held while a page of a list is read: those that share it begin in turn."""
        self._handle = handle
        self._lists = lists or contextlib.nullcontext()
        self._selection = selection
        self._env = env
        self._backoff = Backoff(FIRST_RETRY, LAST_RETRY, reset=RESET_SECONDS)
        self._failing = ""
        self._failed_at = self._listed_at = float("-inf")

    async def events(self) -> AsyncGenerator[Event[T], None]:
        """Never ends and raises nothing but programming errors and cancellation. Close it
        (``contextlib.aclosing``) when leaving."""
        state: State = Empty()
        try:
            while True:
                try:
                    events, state = await self._step(state)
                except (errors.ApiError, OSError, Unreadable) as error:
                    state = await self._after(error, state)
                    continue
                for event in events:
                    yield event
        finally:
            if isinstance(state, Watching):
                await state.events.aclose()

    async def _step(self, state: State) -> tuple[list[Event[T]], State]:
        """One request, or the next events of the open watch."""
        match state:
            case Empty():
                return await self._list("", [Init()])
            case Paging(token):
                return await self._list(token, [])
            case Listed(revision):
                return [], self._watch(revision)
            case Watching():
                return await self._read(state)

    async def _list(self, token: str, events: list[Event[T]]) -> tuple[list[Event[T]], State]:
        where = self._selection
        async with self._lists:
            page = await self._handle.list(
                where.namespace,
                label_selector=where.label_selector,
                field_selector=where.field_selector,
                limit=PAGE,
                continue_token=token,
            )
        self._listed_at = self._env.clock.monotonic()
        events = [*events, InitApply(page.items)]
        if page.continue_token:
            return events, Paging(page.continue_token)
        return [*events, InitDone(page.resource_version)], Listed(page.resource_version)

    def _watch(self, revision: str) -> Watching:
        where = self._selection
        events = self._handle.watch_together(
            where.namespace,
            revision,
            label_selector=where.label_selector,
            field_selector=where.field_selector,
            timeout=WATCH_SECONDS * (1.0 + self._env.rng.random()),
        )
        return Watching(revision, events, self._env.clock.monotonic())

    async def _read(self, state: Watching) -> tuple[list[Event[T]], State]:
        batch = await anext(state.events, None)
        if batch is None:
            return [], await self._ended(state)
        if not state.received:
            self._backoff.reset()
            self._failing = ""
        revision = batch[-1].resource_version or state.revision
        return [
            Delete(event.object) if event.type == DELETED else Apply(event.object)
            for event in batch
            if event.type != BOOKMARK
        ], Watching(revision, state.events, state.opened, True)

    async def _ended(self, state: Watching) -> State:
        """The server closed the watch, as it does from time to time."""
        lasted = self._env.clock.monotonic() - state.opened
        if lasted < SHORT_SECONDS and not state.received:
            await self._pause("the watch ended at once")
        return Listed(state.revision)

    async def _after(self, error: BaseException, state: State) -> State:
        """The next state after a failure, after its backoff."""
        revision = ""
        if isinstance(state, Watching):
            await state.events.aclose()
            revision = state.revision
        if errors.is_expired(error):
            self._env.log.debug("%s: %s; listing again", self._handle.where.label, error)
            if self._env.clock.monotonic() - self._listed_at < SHORT_SECONDS:
                # Expired right after a list: without a delay this would be a busy loop.
                await self._pause(str(error))
            return Empty()
        await self._pause(str(error) or type(error).__name__)
        if not isinstance(state, Watching):
            return state
        return Listed(revision) if _is_transient(error) else Empty()

    async def _pause(self, detail: str) -> None:
        """Wait for the backoff; of consecutive equal failures the first is logged."""
        now = self._env.clock.monotonic()
        if detail != self._failing or now - self._failed_at > RESET_SECONDS:
            self._env.log.warning("watching %s: %s", self._handle.where.label, detail)
        self._failing, self._failed_at = detail, now
        await self._env.clock.sleep(self._backoff.failed(now, self._env.rng))


def _is_transient(error: BaseException) -> bool:
    """Whether a watch may be opened again where it was: the server is away or busy.

    A revision that the server has not reached (its state was lost) is not of that kind.
    """
    if not isinstance(error, errors.ApiError):
        return True
    if error.has_cause("ResourceVersionTooLarge"):
        return False
    return error.code == 429 or error.code >= 500

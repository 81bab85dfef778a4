"""The event recorder: Events about objects, for users.

In: ``event(obj, type, reason, message)`` from anywhere, which never waits. Out: core/v1 Events,
written one after the other by ``run``, which the component starts in its task group. While the API
server is unreachable they are buffered, up to a limit; one that it refuses is dropped. Upstream:
client-go ``tools/record``; repeats and floods are handled by ``correlate``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

from trireme.api.core.v1.event import Event, EventSource
from trireme.api.core.v1.references import ObjectReference
from trireme.client.client import Client
from trireme.client.codec import Unreadable
from trireme.kit.env import Env
from trireme.machinery import errors, names, time
from trireme.runtime.correlate import Correlator, Write

NORMAL, WARNING = "Normal", "Warning"
# Events beyond this many that wait are dropped, the newest first.
WAITING = 1000
TRIES = 12
RETRY_SECONDS = 10.0


class EventRecorder:
    """The events of one component. ``instance`` is the host that it runs on, "" for controllers."""

    def __init__(self, client: Client, component: str, instance: str, env: Env) -> None:
        self._client = client
        self._component = component
        self._instance = instance
        self._env = env
        self._correlator = Correlator()
        self._waiting: deque[Event] = deque()
        self._writing: Write | None = None
        self._wake = asyncio.Event()
        self._dropped = 0
        self._last_suffix = 0

    def event(
        self,
        obj: Any,
        type: str,
        reason: str,
        message: str,
        *,
        action: str = "",
        related: ObjectReference | None = None,
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Record an event about ``obj``, an API object or an ObjectReference.

        ``type`` is Normal or Warning; ``reason`` one CamelCase word; ``message`` a sentence.
        """
        if type not in (NORMAL, WARNING):
            raise ValueError(f"event type {type!r}: not Normal or Warning")
        if len(self._waiting) >= WAITING:
            self._dropped += 1
            return
        about = reference(obj)
        now = time.format(self._env.clock.now())
        event = Event(
            involvedObject=about,
            reason=reason,
            message=message,
            source=EventSource(component=self._component, host=self._instance),
            firstTimestamp=now,
            lastTimestamp=now,
            count=1,
            type=type,
            action=action,
            related=related,
            reportingComponent=self._component,
            reportingInstance=self._instance,
        )
        event.metadata.name = self._name(about.name)
        event.metadata.namespace = about.namespace or "default"
        event.metadata.annotations = dict(annotations or {})
        self._waiting.append(event)
        self._wake.set()

    async def run(self) -> None:
        """Write the recorded events, until cancelled; those that wait then are written, for
        ``env.grace`` seconds at most."""
        try:
            while True:
                await self._wake.wait()
                await self._write_waiting()
                if self._dropped:
                    self._env.log.warning("%d events dropped: too many waited", self._dropped)
                    self._dropped = 0
                self._wake.clear()
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._env.grace):
                    await self._write_waiting()

    async def _write_waiting(self) -> None:
        while self._waiting or self._writing is not None:
            if self._writing is None:
                event = self._waiting.popleft()
                self._writing = self._correlator.correlate(event, self._env.clock.monotonic())
            if self._writing is not None:
                await self._write(self._writing)
                self._writing = None

    async def _write(self, write: Write) -> None:
        about = write.event.involvedObject
        for attempt in range(TRIES):
            try:
                stored = await self._send(write)
            except errors.ApiError as error:
                self._correlator.forget(write.identity)
                self._env.log.log(
                    logging.DEBUG if _expected(error) else logging.WARNING,
                    "event %s about %s/%s not written: %s",
                    write.event.reason,
                    about.namespace,
                    about.name,
                    error.message,
                )
                return
            except (OSError, Unreadable) as error:
                self._env.log.debug("event %s not written yet: %s", write.event.reason, error)
                # The first delay is random, so that clients do not retry all at once.
                delay = RETRY_SECONDS * (self._env.rng.random() if attempt == 0 else 1.0)
                await self._env.clock.sleep(delay)
            else:
                self._correlator.written(write.identity, stored)
                return
        self._correlator.forget(write.identity)
        self._env.log.warning(
            "event %s about %s/%s given up", write.event.reason, about.namespace, about.name
        )

    async def _send(self, write: Write) -> Event:
        event = write.event
        if write.repeat:
            change = {
                "count": event.count,
                "lastTimestamp": event.lastTimestamp,
                "message": event.message,
            }
            try:
                return await self._client.patch(
                    Event, event.metadata.name, event.metadata.namespace, change
                )
            except errors.ApiError as error:
                # Events expire.
                if not errors.is_not_found(error):
                    raise
        return await self._client.create(event)

    def _name(self, name: str) -> str:
        """``<object>.<hex>``: nanoseconds, the last digits at random, because several components
        write about an object in the same instant of a virtual clock."""
        millis = int(self._env.clock.now() * 1000)
        self._last_suffix = max(
            self._last_suffix + 1, millis * 10**6 + self._env.rng.randrange(10**6)
        )
        made = f"{name}.{self._last_suffix:x}"
        return made if not names.is_dns1123_subdomain(made) else self._env.uid()


def _expected(error: errors.ApiError) -> bool:
    """Whether the error is harmless: a repeated write, or a namespace that is being deleted."""
    missing = error.details.kind if errors.is_not_found(error) and error.details else ""
    return (
        missing == "namespaces"
        or errors.is_already_exists(error)
        or errors.is_namespace_terminating(error)
    )


def reference(obj: Any) -> ObjectReference:
    """A reference to an API object; an ObjectReference stands for itself."""
    if isinstance(obj, ObjectReference):
        return obj
    return ObjectReference(
        kind=obj.kind,
        apiVersion=obj.apiVersion,
        namespace=obj.metadata.namespace,
        name=obj.metadata.name,
        uid=obj.metadata.uid,
        resourceVersion=obj.metadata.resourceVersion,
    )

"""Audit events for another server, in lists: --audit-webhook-config-file.

In: events. Out: ``EventList``s that are sent to it. Upstream: apiserver
``plugin/pkg/audit/webhook``, ``buffered``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from trireme.apiserver.audit import truncate
from trireme.apiserver.audit.event import VERSION, Event
from trireme.apiserver.audit.queue import Queue
from trireme.apiserver.settings.audit import WebhookSettings
from trireme.apiserver.webhook_client import WebhookClient, WebhookError
from trireme.kit.env import Env

_HEAD = f'{{"kind":"EventList","apiVersion":"{VERSION}","metadata":{{}},"items":['.encode()


class WebhookSink:
    """Sends events in batches, or each at once."""

    name = "webhook"

    def __init__(self, settings: WebhookSettings, env: Env) -> None:
        self.strict = settings.mode == "blocking-strict"
        self._settings = settings
        self._env = env
        self._client = WebhookClient(settings.access, env, backoff=settings.backoff, always=True)
        self._blocking = settings.mode != "batch"
        self._queue = Queue(settings.batch, env, self._send)
        self._lost = 0

    @property
    def lost(self) -> int:
        """How many events were not sent."""
        return self._lost + self._queue.dropped

    def process(self, event: Event) -> bool | Awaitable[bool]:
        """Send it, or take it to be sent."""
        return self._send([event]) if self._blocking else self._queue.put(event)

    def take(self, event: Event) -> None:
        """Take it to be sent, for nobody who waits."""
        self._queue.put(event)

    async def run(self) -> None:
        await self._queue.run()

    async def close(self) -> None:
        await self._queue.flush()
        await self._client.close()

    async def _send(self, events: Iterable[Event]) -> bool:
        limits = self._settings.truncation
        found = [data for _, data in truncate.encoded(events, limits)]
        stored = True
        for batch in truncate.batches(found, limits):
            try:
                await self._client.post(_HEAD + b",".join(batch) + b"]}")
            except WebhookError as error:
                self._env.log.error("%d audit events were not sent: %s", len(batch), error)
                self._lost += len(batch)
                stored = False
        return stored

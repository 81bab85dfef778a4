"""Makes audit events at the stages of each request, and gives them to the sinks.

In: requests, from the chain. Out: events. Called by ``chain``; ``run`` is a post-start hook, for
sinks that do not write at once. Upstream: apiserver ``endpoints/filters/audit.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Protocol

from prometheus_client.metrics_core import CounterMetricFamily, Metric

from trireme.apiserver.audit import policy
from trireme.apiserver.audit.event import Event, RequestAudit
from trireme.apiserver.audit.log import LogSink
from trireme.apiserver.audit.webhook import WebhookSink
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request, is_long_running
from trireme.apiserver.settings.audit import LEVELS, Audit
from trireme.kit import metrics
from trireme.kit.env import Env
from trireme.kit.metrics import Counts
from trireme.machinery import errors, time


class Sink(Protocol):
    """``strict``: a request whose first event cannot be stored fails."""

    name: str
    strict: bool

    @property
    def lost(self) -> int:
        """How many events were not stored."""

    def process(self, event: Event) -> bool | Awaitable[bool]:
        """Store an event, or take it to be stored; whether that went well."""

    def take(self, event: Event) -> None:
        """The same at the end of a stream, where nobody waits for the answer."""

    async def run(self) -> None:
        """Store what was taken, until cancelled."""

    async def close(self) -> None:
        """Store what is left."""


class Auditor:
    """The audit of one API server."""

    def __init__(self, evaluator: policy.Evaluator, sinks: Sequence[Sink], env: Env) -> None:
        self._evaluator = evaluator
        self._sinks = sinks
        self._env = env
        self._events = Counts("apiserver_audit_event_total", "Audit events that were made")
        self._levels = Counts("apiserver_audit_level_total", "Audited requests", ["level"])
        self._rejected = Counts(
            "apiserver_audit_requests_rejected_total",
            "Requests that failed as their event could not be stored",
        )
        for counts in (self._events, self._rejected):
            counts.add(count=0)
        metrics.expose(env.metrics, self._events, self._levels, self._rejected)
        metrics.collected(env.metrics, self._lost, "apiserver_audit_error")

    def received(self, request: Request) -> Awaitable[None] | None:
        """The request has been authenticated. ApiError where its event has to be stored and cannot
        be."""
        config = self._evaluator.evaluate(request.user, request.info)
        if not config.level:
            return None
        found = self._begin(request, config)
        request.at_end(partial(self._ended, found))
        return self._check(self._stage(found, "RequestReceived"))

    def answered(self, request: Request, answer: AnyReply) -> Awaitable[None] | None:
        """The request has been answered; a stream has begun."""
        found: RequestAudit | None = request.audit
        if found is None:
            return self._unauthenticated(request, answer) if request.user is None else None
        found.answered(answer)
        if found.panicked:
            found.panic()
            found.is_over = True
            return self._done(self._stage(found, "Panic"))
        if is_long_running(request.info):
            return self._done(self._stage(found, "ResponseStarted"))
        if not isinstance(answer, Reply):
            return None
        found.is_over = True
        return self._done(self._stage(found, "ResponseComplete"))

    async def run(self) -> None:
        """Store what the sinks have taken, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for sink in self._sinks:
                group.create_task(sink.run())

    async def close(self) -> None:
        """Store what is left."""
        for sink in self._sinks:
            await sink.close()

    def _lost(self) -> list[Metric]:
        family = CounterMetricFamily(
            "apiserver_audit_error", "Events that were not stored", labels=["plugin"]
        )
        for sink in self._sinks:
            family.add_metric([sink.name], sink.lost)
        return [family]

    def _begin(self, request: Request, config: policy.Config) -> RequestAudit:
        received = time.format_micro(self._env.clock.now())
        self._levels.add(LEVELS[config.level])
        audit_id = request.headers.get("audit-id") or self._env.uid()
        found = request.audit = RequestAudit(request, config, audit_id, received)
        return found

    def _unauthenticated(self, request: Request, answer: AnyReply) -> Awaitable[None] | None:
        config = self._evaluator.evaluate(None, request.info)
        if not config.level:
            return None
        found = self._begin(request, config)
        found.answered(answer)
        return self._done(self._stage(found, "ResponseStarted"))

    def _ended(self, found: RequestAudit) -> None:
        """The stream has ended, or the client went before it was answered."""
        if found.is_over:
            return
        found.end()
        self._stage(found, "ResponseComplete", wait=False)

    def _stage(
        self, found: RequestAudit, stage: str, wait: bool = True
    ) -> list[tuple[Sink, bool | Awaitable[bool]]]:
        if stage in found.config.omit:
            return []
        self._events.add()
        event = found.event(stage, self._env.clock.now())
        if wait:
            return [(sink, sink.process(event)) for sink in self._sinks]
        for sink in self._sinks:
            sink.take(event)
        return []

    def _check(self, results: list[tuple[Sink, bool | Awaitable[bool]]]) -> Awaitable[None] | None:
        if all(result is True or not sink.strict for sink, result in results):
            return self._done(results)
        return self._checked(results)

    async def _checked(self, results: list[tuple[Sink, bool | Awaitable[bool]]]) -> None:
        for sink, result in results:
            stored = result if isinstance(result, bool) else await result
            if sink.strict and not stored:
                self._rejected.add()
                raise errors.internal_error("failed to store audit event")

    def _done(self, results: list[tuple[Sink, bool | Awaitable[bool]]]) -> Awaitable[None] | None:
        waiting = [result for _, result in results if not isinstance(result, bool)]
        return _all(waiting) if waiting else None


async def _all(waiting: Sequence[Awaitable[bool]]) -> None:
    for each in waiting:
        await each


def of(settings: Audit, env: Env) -> Auditor | None:
    """The auditor that the settings ask for."""
    if settings.policy is None or not (settings.log or settings.webhook):
        return None
    sinks: list[Sink] = []
    if settings.log is not None:
        sinks.append(LogSink(settings.log, env))
    if settings.webhook is not None:
        sinks.append(WebhookSink(settings.webhook, env))
    return Auditor(policy.Evaluator(settings.policy), sinks, env)

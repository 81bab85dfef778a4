"""Events reach the API server; repeats are counted, similar ones folded, floods dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trireme.api.core import v1 as core
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.runtime import recorder
from trireme.runtime.correlate import Correlator
from trireme.runtime.recorder import NORMAL, WARNING, EventRecorder
from trireme.testing import virtual

POD = core.Pod(metadata=meta.ObjectMeta(name="p", namespace="default", uid="u"))


@asynccontextmanager
async def recording(client: Client, env: Env) -> AsyncIterator[EventRecorder]:
    made = EventRecorder(client, "kubelet", "n1", env)
    task = asyncio.ensure_future(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.wait({task})


async def stored(client: Client) -> list[core.Event]:
    await virtual.run_ready()
    return (await client.list(core.Event, "default")).items


@virtual.test()
async def test_an_event_is_written(env: Env, serving) -> None:
    async with serving(env) as client, recording(client, env) as events:
        events.event(POD, NORMAL, "Started", "Container started")
        (event,) = await stored(client)
        assert event.involvedObject == core.ObjectReference(
            kind="Pod", apiVersion="v1", namespace="default", name="p", uid="u"
        )
        assert (event.reason, event.message, event.type) == (
            "Started", "Container started", "Normal",
        )  # fmt: skip
        assert (event.source.component, event.source.host) == ("kubelet", "n1")
        assert (event.reportingComponent, event.reportingInstance) == ("kubelet", "n1")
        assert event.metadata.name.startswith("p.") and event.count == 1
        assert event.firstTimestamp == event.lastTimestamp == "2030-01-01T00:00:00Z"


@virtual.test()
async def test_a_repeat_raises_the_count(env: Env, serving) -> None:
    async with serving(env) as client, recording(client, env) as events:
        for _ in range(3):
            events.event(POD, WARNING, "BackOff", "Back-off restarting")
            await env.clock.sleep(10)
        (event,) = await stored(client)
        assert event.count == 3
        assert event.firstTimestamp == "2030-01-01T00:00:00Z"
        assert event.lastTimestamp == "2030-01-01T00:00:20Z"

        await client.delete(core.Event, event.metadata.name, "default")
        events.event(POD, WARNING, "BackOff", "Back-off restarting")
        (again,) = await stored(client)
        assert again.count == 4


@virtual.test()
async def test_names_differ_within_an_instant(env: Env, serving) -> None:
    async with serving(env) as client, recording(client, env) as events:
        for number in range(9):
            events.event(POD, NORMAL, f"Reason{number}", "m")
        assert len(await stored(client)) == 9


@virtual.test()
async def test_about_what_has_no_namespace(env: Env, serving) -> None:
    async with serving(env) as client, recording(client, env) as events:
        events.event(core.Node(metadata=meta.ObjectMeta(name="n1")), NORMAL, "Ready", "m")
        (event,) = await stored(client)
        assert event.metadata.namespace == "default"
        assert event.involvedObject.namespace == ""


@virtual.test()
async def test_a_refused_event_is_dropped_and_the_next_written(env: Env, serving, caplog) -> None:
    async with serving(env) as client, recording(client, env) as events:
        lost = core.ObjectReference(kind="Pod", namespace="nowhere", name="p")
        events.event(lost, NORMAL, "Lost", "m")
        events.event(POD, NORMAL, "Kept", "m")
        assert [event.reason for event in await stored(client)] == ["Kept"]
        # A namespace that has gone took with it whoever would want to know.
        assert [record.levelname for record in caplog.records if "Lost" in record.message] == []


@virtual.test()
async def test_a_component_that_may_not_write_events_says_so(
    env: Env, serving, caplog, monkeypatch
) -> None:
    async def refuse(_event: core.Event) -> core.Event:
        raise errors.forbidden("events", "p", "may not")

    async with serving(env) as client, recording(client, env) as events:
        monkeypatch.setattr(client, "create", refuse)
        events.event(POD, NORMAL, "Refused", "m")
        assert await stored(client) == []
        received = [record.levelname for record in caplog.records if "Refused" in record.message]
        assert received == ["WARNING"]


def _event(message: str = "m", reason: str = "R") -> core.Event:
    made = core.Event(
        involvedObject=recorder.reference(POD), reason=reason, message=message, type=NORMAL, count=1
    )
    made.metadata.name = message
    return made


def test_the_tenth_similar_event_is_folded() -> None:
    correlator = Correlator()
    writes = [correlator.correlate(_event(f"m{number}"), number) for number in range(12)]
    received = [(write.event.message, write.event.count, write.repeat) for write in writes if write]
    assert received[8] == ("m8", 1, False)
    assert received[9] == ("(combined from similar events): m9", 1, False)
    assert received[11] == ("(combined from similar events): m11", 3, True)


def test_similar_events_long_after_are_not_folded() -> None:
    correlator = Correlator()
    for number in range(9):
        correlator.correlate(_event(f"m{number}"), 0.0)
    write = correlator.correlate(_event("late"), 601.0)
    assert write is not None and write.event.message == "late"


def test_a_flood_is_dropped_but_counted() -> None:
    correlator = Correlator()
    writes = [correlator.correlate(_event(), 0.0) for _ in range(40)]
    assert sum(write is not None for write in writes) == 25
    assert correlator.correlate(_event(), 299.0) is None
    write = correlator.correlate(_event(), 301.0)
    assert write is not None and write.event.count == 42

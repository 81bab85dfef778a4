"""Keys lead to reconciles; what these return or raise says what comes next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.runtime import triggers
from trireme.runtime.controller import After, Controller, Reconcile, Terminal
from trireme.runtime.informer import Event, Informers
from trireme.runtime.keys import Key
from trireme.testing import virtual

A = Key("default", "a")


@asynccontextmanager
async def working(reconcile: Reconcile, env: Env, workers: int = 1) -> AsyncIterator[Controller]:
    controller = Controller("test", reconcile, env, workers=workers)
    task = asyncio.ensure_future(controller.run())
    try:
        yield controller
    finally:
        task.cancel()
        await asyncio.wait({task})


@virtual.test()
async def test_events_become_reconciles(env: Env, serving) -> None:
    async with serving(env) as client, asyncio.TaskGroup() as group:
        informers = Informers(client, env)
        maps = informers.of(core.ConfigMap)
        observed: list[tuple[str, bool]] = []

        async def reconcile(key: Key) -> None:
            observed.append((str(key), maps.get(*key) is not None))

        controller = Controller("maps", reconcile, env, triggers=[(maps, triggers.own())])
        informers.start(group)
        running = group.create_task(controller.run())
        made = core.ConfigMap(metadata=meta.ObjectMeta(name="a", namespace="default"))
        await client.create(made)
        await virtual.run_ready()
        await client.delete(core.ConfigMap, "a", "default")
        await virtual.run_ready()
        assert observed == [("default/a", True), ("default/a", False)]
        running.cancel()
        for task in asyncio.all_tasks():
            if task.get_name() == "informer":
                task.cancel()


@virtual.test()
async def test_a_failure_is_tried_again_and_logged_once(env: Env, caplog) -> None:
    tries: list[float] = []

    async def reconcile(key: Key) -> None:
        tries.append(env.clock.monotonic())
        if len(tries) < 3:
            raise errors.forbidden("pods", "a", "no")

    async with working(reconcile, env) as controller:
        controller.queue.add(A)
        await env.clock.sleep(1)
        assert [round(at - tries[0], 3) for at in tries] == [0, 0.005, 0.015]
        assert controller.queue.failures(A) == 0
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == 'test default/a: pods "a" is forbidden: no; again in 0.005 s'
    assert len(lines) == 2 and all(record.exc_info is None for record in caplog.records)


@virtual.test()
async def test_a_bug_shows_its_traceback(env: Env, caplog) -> None:
    async def reconcile(key: Key) -> None:
        raise KeyError("oops")

    async with working(reconcile, env) as controller:
        controller.queue.add(A)
        await env.clock.sleep(0.004)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and record.exc_info is not None


@virtual.test()
async def test_a_conflict_is_no_news(env: Env, caplog) -> None:
    caplog.set_level(logging.INFO)
    tries = []

    async def reconcile(key: Key) -> None:
        tries.append(key)
        if len(tries) == 1:
            raise errors.conflict("pods", "a")

    async with working(reconcile, env) as controller:
        controller.queue.add(A)
        await env.clock.sleep(1)
    assert len(tries) == 2 and not caplog.records


@virtual.test()
async def test_terminal_is_not_tried_again(env: Env, caplog) -> None:
    tries = []

    async def reconcile(key: Key) -> None:
        tries.append(key)
        raise Terminal("the selector matches everything")

    async with working(reconcile, env) as controller:
        controller.queue.add(A)
        await env.clock.sleep(2000)
        assert len(tries) == 1
        assert "test default/a: given up: the selector matches everything" in caplog.text
        controller.queue.add(A)
        await virtual.run_ready()
        assert len(tries) == 2


@virtual.test()
async def test_after_looks_again_then(env: Env) -> None:
    at: list[float] = []

    async def reconcile(key: Key) -> After | None:
        at.append(env.clock.monotonic())
        return After(60) if len(at) < 3 else None

    async with working(reconcile, env) as controller:
        controller.queue.add(A)
        await env.clock.sleep(1000)
    assert [value - at[0] for value in at] == [0, 60, 120]


@virtual.test()
async def test_workers_share_keys_but_never_one_key(env: Env) -> None:
    at_work: set[Key] = set()
    most = 0

    async def reconcile(key: Key) -> None:
        nonlocal most
        assert key not in at_work
        at_work.add(key)
        most = max(most, len(at_work))
        await env.clock.sleep(1)
        at_work.discard(key)

    async with working(reconcile, env, workers=3) as controller:
        for number in range(12):
            controller.queue.add(Key("default", f"k{number % 4}"))
            await env.clock.sleep(0.3)
        await env.clock.sleep(10)
        assert most == 3 and controller.queue.idle


def _event(old_owner: str = "", new_owner: str = "", kind: str = "ReplicaSet") -> Event:
    def pod(owner: str) -> core.Pod:
        made = core.Pod(metadata=meta.ObjectMeta(name="p", namespace="default"))
        if owner:
            made.metadata.ownerReferences = [
                meta.OwnerReference(
                    apiVersion="apps/v1", kind=kind, name=owner, uid="u", controller=True
                )
            ]
        return made

    return Event("MODIFIED", pod(new_owner), pod(old_owner))


def test_triggers() -> None:
    by_owner = triggers.controller("ReplicaSet", "apps")
    assert list(by_owner(_event("a", "b"))) == [("default", "b"), ("default", "a")]
    assert list(by_owner(_event("a", "a"))) == [("default", "a")]
    assert list(by_owner(_event("", ""))) == []
    assert list(by_owner(_event("a", "a", kind="Job"))) == []
    assert list(triggers.controller("ReplicaSet", "batch")(_event("a", "a"))) == []
    cluster = triggers.controller("ReplicaSet", "apps", namespaced=False)
    assert list(cluster(_event("", "n"))) == [("", "n")]
    nobody = triggers.only(lambda event: event.type == "DELETED", triggers.own())
    assert list(nobody(_event())) == []
    mapped = triggers.mapped(lambda pod: [Key("", pod.metadata.name)])
    assert list(mapped(_event())) == [("", "p")]

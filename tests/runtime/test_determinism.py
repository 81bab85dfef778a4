"""The same seed gives the same history, down to names, uids and instants."""

from __future__ import annotations

import asyncio

from trireme.api.core import v1 as core
from trireme.kit.env import Env
from trireme.machinery import meta
from trireme.runtime import triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Informers
from trireme.runtime.keys import Key
from trireme.runtime.recorder import NORMAL, EventRecorder
from trireme.testing import virtual


def story(world, seed: int) -> list[tuple[float, str]]:
    """A controller that counts up in each ConfigMap, through a network that fails at random."""
    history: list[tuple[float, str]] = []

    async def main(env: Env) -> None:
        async with world(env) as w:
            client, injector = w.through()
            informers = Informers(client, env)
            maps = informers.of(core.ConfigMap)
            recorder = EventRecorder(client, "counter", "", env)

            async def reconcile(key: Key) -> After | None:
                found = maps.get(*key)
                if found is None or int(found.data.get("n", "0")) >= 5:
                    return None
                number = int(found.data.get("n", "0")) + 1
                version = found.metadata.resourceVersion
                change = {"data": {"n": str(number)}, "metadata": {"resourceVersion": version}}
                await client.patch(core.ConfigMap, key.name, key.namespace, change)
                recorder.event(found, NORMAL, "Counted", f"to {number}")
                return After(env.rng.random() * 10)

            controller = Controller(
                "counter", reconcile, env, triggers=[(maps, triggers.own())], workers=3
            )
            maps.add_handler(
                lambda event: history.append(
                    (
                        env.clock.now(),
                        f"{event.type} {event.key} {event.object.metadata.uid} {event.object.data}",
                    )
                )
            )

            async def disturb() -> None:
                while True:
                    await env.clock.sleep(env.rng.random() * 4)
                    injector.down = env.rng.random() < 0.4

            async def running() -> None:
                async with asyncio.TaskGroup() as group:
                    informers.start(group)
                    group.create_task(controller.run())
                    group.create_task(recorder.run())
                    group.create_task(disturb())

            task = asyncio.ensure_future(running())
            for _ in range(5):
                made = meta.ObjectMeta(generateName="m-", namespace="default")
                await w.client.create(core.ConfigMap(metadata=made))
                await env.clock.sleep(env.rng.random() * 5)
            await env.clock.sleep(900)
            counts = [item.data for item in (await w.client.list(core.ConfigMap)).items]
            assert counts == [{"n": "5"}] * 5
            events = (await w.client.list(core.Event, "default")).items
            history.extend((0.0, f"{e.metadata.name} {e.message} {e.count}") for e in events)
            task.cancel()
            await asyncio.wait({task})

    virtual.run(main, seed=seed)
    return history


def test_a_seed_replays_a_run(world, caplog) -> None:
    first, again, other = story(world, 7), story(world, 7), story(world, 8)
    assert first == again
    assert first != other
    assert not [r for r in caplog.records if r.exc_info]

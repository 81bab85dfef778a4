"""What was written is waited for: until the cache shows it, or could have."""

from __future__ import annotations

import asyncio

from trireme.api.core.v1.configmap import ConfigMap
from trireme.client.client import Client
from trireme.machinery.meta import ObjectMeta
from trireme.runtime import written
from trireme.runtime.informer import Informers
from trireme.runtime.keys import Key
from trireme.runtime.written import Written
from trireme.testing import clients, control_plane, virtual
from trireme.testing.fault_injection import FaultInjector

KEY = Key("default", "owner")


class Setup:
    """An informer of ConfigMaps whose line can be cut."""

    def __init__(self, server, env, group):
        self.admin = clients.client(server)
        self.line = FaultInjector(clients.transport(server))
        self.maps = Informers(Client(self.line, "test", env.clock), env)
        self.informer = self.maps.of(ConfigMap)
        self.maps.start(group)

    async def cut(self):
        """The cache hears of nothing from now on."""
        self.line.down = True
        await virtual.run_ready()

    async def create(self, name="a"):
        return await self.admin.create(
            ConfigMap(metadata=ObjectMeta(name=name, namespace="default"))
        )


def story(body):
    @virtual.test()
    async def test(env):
        async with control_plane.api_server(env) as server, asyncio.TaskGroup() as group:
            tasks = []

            class Group:
                def create_task(self, work, name=""):
                    tasks.append(group.create_task(work))

            setup = Setup(server, env, Group())
            await setup.informer.synced()
            await body(env, setup)
            for task in tasks:
                task.cancel()

    test.__name__ = body.__name__
    return test


@story
async def test_nothing_written_is_visible(env, setup):
    assert Written(env.clock).visible(KEY)


@story
async def test_a_creation_is_waited_for(env, setup):
    own = Written(env.clock)
    await setup.cut()
    own.wrote(KEY, setup.informer, await setup.create())
    assert not own.visible(KEY) and own.visible(Key("default", "other"))
    setup.line.down = False
    await env.clock.sleep(60)
    assert own.visible(KEY) and setup.informer.get("default", "a") is not None


@story
async def test_what_the_cache_shows_already_is_not_waited_for(env, setup):
    own = Written(env.clock)
    made = await setup.create()
    await env.clock.sleep(1)
    own.wrote(KEY, setup.informer, made)
    assert own.visible(KEY)


@story
async def test_one_that_was_made_and_gone_while_nobody_watched(env, setup):
    """No event tells of it; the list's revision does."""
    own = Written(env.clock)
    await setup.cut()
    own.wrote(KEY, setup.informer, await setup.create())
    await setup.admin.delete(ConfigMap, "a", "default")
    setup.line.down = False
    await env.clock.sleep(60)
    assert own.visible(KEY)


@story
async def test_a_deletion_is_waited_for(env, setup):
    own = Written(env.clock)
    made = await setup.create()
    await env.clock.sleep(1)
    await setup.cut()
    await setup.admin.delete(ConfigMap, "a", "default")
    own.deleted(KEY, setup.informer, made)
    assert not own.visible(KEY)
    # Another of that name is not the one that was deleted.
    await setup.create()
    setup.line.down = False
    await env.clock.sleep(60)
    assert setup.informer.get("default", "a") is not None
    assert own.visible(KEY)


@story
async def test_what_never_shows_is_given_up(env, setup):
    own = Written(env.clock)
    await setup.cut()
    own.wrote(KEY, setup.informer, await setup.create())
    await env.clock.sleep(written.TIMEOUT - 1)
    assert not own.visible(KEY)
    await env.clock.sleep(2)
    assert own.visible(KEY)


@story
async def test_forgotten_with_its_object(env, setup):
    own = Written(env.clock)
    await setup.cut()
    own.wrote(KEY, setup.informer, await setup.create())
    own.forget(KEY)
    assert own.visible(KEY)

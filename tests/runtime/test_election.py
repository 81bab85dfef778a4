"""Of several candidates one leads; a leader that is cut off stops before another begins."""

from __future__ import annotations

import asyncio

import pytest

from trireme.api.coordination.v1.lease import Lease
from trireme.api.core import v1 as core
from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.runtime.election import Election, LeaderElection, Lost
from trireme.testing import virtual

CONFIG = LeaderElection(name="manager", namespace="default")


class Candidate:
    """Runs an election and notes when its work began and ended."""

    def __init__(self, client: Client, identity: str, env: Env, history: list) -> None:
        self.election = Election(client, CONFIG, identity, env)
        self._identity, self._env, self._history = identity, env, history
        self.task = asyncio.ensure_future(self.election.lead(self._work))

    async def _work(self) -> None:
        self._note("begins")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._note("ends")

    def _note(self, what: str) -> None:
        self._history.append((self._identity, what, round(self._env.clock.monotonic(), 3)))

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


def words(history: list) -> list[str]:
    return [f"{identity} {what}" for identity, what, _ in history]


@virtual.test()
async def test_one_leads_and_renews(env: Env, serving) -> None:
    async with serving(env) as client:
        history: list = []
        first = Candidate(client, "one", env, history)
        await virtual.run_ready()
        second = Candidate(client, "two", env, history)
        await env.clock.sleep(3600)
        assert words(history) == ["one begins"]
        assert second.election.leader == "one"
        lease = await client.get(Lease, "manager", "default")
        assert lease.spec.holderIdentity == "one"
        assert lease.spec.leaseDurationSeconds == 15 and lease.spec.leaseTransitions == 0
        assert lease.spec.acquireTime == "2030-01-01T00:00:00.000000Z"
        await first.stop()
        await second.stop()


@virtual.test()
async def test_a_leader_that_stops_hands_over(env: Env, serving) -> None:
    async with serving(env) as client:
        history: list = []
        first = Candidate(client, "one", env, history)
        await virtual.run_ready()
        second = Candidate(client, "two", env, history)
        await env.clock.sleep(60)
        stopped = env.clock.monotonic()
        await first.stop()
        lease = await client.get(Lease, "manager", "default")
        assert lease.spec.holderIdentity == "" and lease.spec.leaseDurationSeconds == 1
        await env.clock.sleep(10)
        assert words(history) == ["one begins", "one ends", "two begins"]
        assert history[2][2] - stopped < 4.5
        lease = await client.get(Lease, "manager", "default")
        assert lease.spec.leaseTransitions == 1
        await second.stop()


@pytest.mark.parametrize("failure", ["down", "silent"])
def test_a_leader_cut_off_stops_before_the_next_begins(failure: str, world) -> None:
    async def story(env: Env) -> None:
        async with world(env) as w:
            cut, injector = w.through()
            history: list = []
            first = Candidate(cut, "one", env, history)
            await virtual.run_ready()
            second = Candidate(w.client, "two", env, history)
            await env.clock.sleep(60)
            setattr(injector, failure, True)
            await env.clock.sleep(60)
            assert words(history) == ["one begins", "one ends", "two begins"]
            with pytest.raises(Lost):
                first.task.result()
            ended, began = history[1][2], history[2][2]
            assert ended - 60 <= 12.1 and began > ended
            await second.stop()

    for seed in range(5):
        virtual.run(story, seed=seed)


@virtual.test()
async def test_a_short_fault_does_not_matter(env: Env, world) -> None:
    async with world(env) as w:
        client, injector = w.through()
        history: list = []
        first = Candidate(client, "one", env, history)
        await env.clock.sleep(60)
        injector.down = True
        await env.clock.sleep(6)
        injector.down = False
        await env.clock.sleep(60)
        assert words(history) == ["one begins"]
        await first.stop()


@virtual.test()
async def test_a_lease_taken_away_is_lost(env: Env, serving) -> None:
    async with serving(env) as client:
        history: list = []
        first = Candidate(client, "one", env, history)
        await env.clock.sleep(5)
        change = {"spec": {"holderIdentity": "thief"}}
        await client.patch(Lease, "manager", "default", change)
        await env.clock.sleep(3)
        with pytest.raises(Lost, match="thief has the lease"):
            first.task.result()


@virtual.test()
async def test_the_works_own_end_and_faults_come_through(env: Env, serving) -> None:
    async with serving(env) as client:

        async def ends() -> None:
            await env.clock.sleep(1)

        async def fails() -> None:
            raise KeyError("oops")

        await Election(client, CONFIG, "one", env).lead(ends)
        with pytest.raises(KeyError):
            await Election(client, CONFIG, "two", env).lead(fails)
        assert (await client.get(Lease, "manager", "default")).spec.holderIdentity == ""


def test_times_are_checked() -> None:
    with pytest.raises(ValueError, match="falling order"):
        LeaderElection(name="m", lease_duration=10.0, renew_deadline=10.0)


@virtual.test()
async def test_who_leads_is_an_event_of_the_lease(env: Env, serving) -> None:
    async with serving(env) as client:
        candidate = Candidate(client, "one", env, [])
        await env.clock.sleep(5)
        await candidate.stop()
        events = (await client.list(core.Event, "default")).items
        found = [(e.reason, e.message, e.involvedObject.kind, e.source.component) for e in events]
        assert sorted(found) == [
            ("LeaderElection", "one became leader", "Lease", "manager"),
            ("LeaderElection", "one stopped leading", "Lease", "manager"),
        ]

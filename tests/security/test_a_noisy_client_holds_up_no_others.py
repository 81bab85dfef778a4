"""One client that sends more than can be answered holds up no others: they wait no longer than
before, and the noisy one is refused with 429 and told when to come again.

API Priority and Fairness (KEP-1040): requests of different users are different flows, whose queues
share the seats.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from trireme.apiserver import chain, dispatch
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.kit.env import Env
from trireme.testing import control_plane, virtual

MAPS = "/api/v1/namespaces/default/configmaps"
# Seconds that each answer takes here, about.
WORK = 0.01
GROUPS = ("system:serviceaccounts", "system:authenticated")
NOISY, QUIET = User("noisy", groups=GROUPS), User("quiet", groups=GROUPS)


@pytest.fixture(autouse=True)
def every_answer_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = dispatch.dispatch

    async def slow(context: Any, handlers: Any, request: Request) -> AnyReply:
        await context.env.clock.sleep(WORK * (0.5 + context.env.rng.random()))
        return await answer(context, handlers, request)

    monkeypatch.setattr(dispatch, "dispatch", slow)
    monkeypatch.setattr("trireme.apiserver.filters.authorize.check", lambda *_: None)


@asynccontextmanager
async def small(env: Env) -> AsyncIterator[ApiServer]:
    """A server with few seats."""
    async with control_plane.api_server(env, max_in_flight=16, max_mutating_in_flight=4) as server:
        yield server


async def ask(server: ApiServer, user: User) -> tuple[int, float, Any]:
    """Status, seconds, headers."""
    began = server.context.env.clock.monotonic()
    request = Request("GET", f"{MAPS}/a", user=user)
    try:
        answer = await chain.handle(server, request)
    finally:
        request.close()
    assert isinstance(answer, Reply)
    return answer.status, server.context.env.clock.monotonic() - began, answer.headers


async def paced(server: ApiServer, user: User, count: int) -> list[float]:
    """One request after the other: how long each took."""
    taken = []
    for _ in range(count):
        status, seconds, _ = await ask(server, user)
        assert status == 404
        taken.append(seconds)
    return taken


@virtual.test()
async def test_others_wait_no_longer_than_twice_as_long(env: Env) -> None:
    async with control_plane.api_server(env, max_in_flight=100, max_mutating_in_flight=0) as server:
        idle = sorted(await paced(server, QUIET, 100))[98]

        async def flood() -> None:
            while True:
                status, _, _ = await ask(server, NOISY)
                if status == 429:
                    # It does not wait as long as it is told.
                    await env.clock.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            noise = [group.create_task(flood()) for _ in range(400)]
            await env.clock.sleep(0.2)
            loaded = sorted(await paced(server, QUIET, 100))[98]
            for task in noise:
                task.cancel()
        assert loaded <= 2 * idle, (loaded, idle)


@virtual.test()
async def test_the_noisy_one_is_refused_and_told_when_to_come_again(env: Env) -> None:
    async with small(env) as server:
        answers = await asyncio.gather(*(ask(server, NOISY) for _ in range(1000)))
        refused = [headers for status, _, headers in answers if status == 429]
        assert refused
        assert all(int(headers["Retry-After"]) >= 1 for headers in refused)
        # It did not wait for its refusal.
        assert all(seconds == 0 for status, seconds, _ in answers if status == 429)
        assert len(refused) < 1000
        assert (await ask(server, QUIET))[0] == 404


@virtual.test()
async def test_nothing_waits_for_longer_than_a_quarter_of_its_time(env: Env) -> None:
    async with small(env) as server:
        forever = asyncio.Event()

        async def stuck(context: Any, handlers: Any, request: Request) -> AnyReply:
            await forever.wait()
            raise AssertionError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatch, "dispatch", stuck)
            async with asyncio.TaskGroup() as group:
                held = [group.create_task(ask(server, NOISY)) for _ in range(100)]
                # The level has borrowed all that it can get.
                await env.clock.sleep(25)
                status, seconds, headers = await ask(server, QUIET)
                assert (status, seconds) == (429, 15.0)
                assert headers["Retry-After"] == "1"
                for task in held:
                    task.cancel()
        # All seats are free again.
        assert (await ask(server, QUIET))[1] < 2 * WORK


@virtual.test()
async def test_masters_and_probes_are_answered_whatever_happens(env: Env) -> None:
    async with small(env) as server:
        flood = [asyncio.ensure_future(ask(server, NOISY)) for _ in range(1000)]
        await asyncio.sleep(0)
        root = User("root", groups=("system:masters",))
        status, seconds, _ = await ask(server, root)
        assert (status, seconds < 2 * WORK) == (404, True)
        await asyncio.gather(*flood)

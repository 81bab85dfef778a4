"""Every controller, whatever happens: it ends where it should, and then it rests.

The frame is ``contract``; a controller is a file in ``cases/``.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.controllers import contract
from tests.controllers.contract import Case, Fault, Kill
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.testing import virtual

CASES = contract.found()
# Of a controller with many writes not every one is its last, but the first ones are.
DEATHS = 20


def of(have: Any = lambda case: True) -> Any:
    selected = [case for case in CASES if have(case)]
    return pytest.mark.parametrize("case", selected, ids=[case.name for case in selected])


@of()
def test_a_second_reconcile_writes_nothing(case: Case) -> None:
    async def story(env: Env) -> None:
        async with contract.world(env, case) as w:
            for step in case.steps:
                await step.act(w)
                await contract.follow(w, case, step.done, step.seconds)
                await w.quiet(5.0)
                await contract.left_alone(w, case)
            await w.stop_controllers()
            await w.start_controllers()
            await contract.left_alone(w, case)

    virtual.run(story)


@of()
def test_killed_at_any_write_it_goes_on(case: Case) -> None:
    """Before the write, or after it and before its answer, in turns."""

    async def story(env: Env, at: int) -> bool:
        kill = Kill(case, at, carried_out=at % 2 == 0)
        async with contract.world(env, case, kill) as w, _beside(kill.restart(w)):
            await contract.play_story(w, case)
            await w.quiet(5.0)
            await contract.left_alone(w, case, 30.0)
        return kill.killed.is_set()

    at = 1
    while virtual.run(lambda env, at=at: story(env, at), seed=at) and at < DEATHS:
        at += 1 if at < 8 else 4
    assert at > 1, "it writes nothing"


@pytest.mark.parametrize("kind", contract.FAULTS, ids=[kind.__name__ for kind in contract.FAULTS])
@of()
def test_trouble_passes(case: Case, kind: type[Fault]) -> None:
    async def story(env: Env) -> None:
        fault = kind(case, random.Random(7))
        async with contract.world(env, case, fault) as w:
            # Who failed often waits long.
            await contract.play_story(w, case, patience=20.0)
            fault.over = True
            await w.quiet(300.0)
            assert case.steps[-1].done(w)
            await contract.left_alone(w, case)

    virtual.run(story, seed=7)


@pytest.mark.parametrize("skew", (900.0, -900.0), ids=("forward", "back"))
@of()
def test_the_clock_jumps(case: Case, skew: float) -> None:
    async def story(env: Env) -> None:
        async with contract.world(env, case) as w:
            for step in case.steps:
                await step.act(w)
                await env.clock.sleep(0.3)
                env.clock.skew += skew  # type: ignore[attr-defined]
                await contract.follow(w, case, step.done, step.seconds + 2 * abs(skew))
            await w.quiet(2 * abs(skew))
            await contract.left_alone(w, case)

    virtual.run(story)


@of(lambda case: case.children is not None)
def test_what_it_made_is_deleted_in_any_order(case: Case) -> None:
    async def story(env: Env) -> None:
        assert case.children is not None
        async with contract.world(env, case) as w:
            await case.steps[0].act(w)
            await contract.follow(w, case, case.steps[0].done, case.steps[0].seconds)
            for _ in range(3):
                made = w.list(case.children, "default")
                for obj in env.rng.sample(made, min(2, len(made))):
                    with contextlib.suppress(errors.ApiError):
                        await w.client.delete(case.children, obj.metadata.name, "default")
                    await env.clock.sleep(env.rng.uniform(0.0, 0.5))
            await w.quiet(5.0)
            await contract.follow(w, case, case.steps[0].done, 20 * case.steps[0].seconds)
            await contract.left_alone(w, case)

    virtual.run(story, seed=3)


@of(lambda case: case.orphan is not None)
def test_orphans_are_adopted_and_strangers_released(case: Case) -> None:
    async def story(env: Env) -> None:
        async with contract.world(env, case) as w:
            await case.steps[0].act(w)
            await contract.follow(w, case, case.steps[0].done, case.steps[0].seconds)
            for act, done in ((case.orphan, case.adopted), (case.let_go, case.released)):
                if act is not None:
                    await act(w)
                    await contract.follow(w, case, done, case.steps[0].seconds)
            await w.quiet(5.0)
            await contract.left_alone(w, case)

    virtual.run(story)


@of(lambda case: case.collide is not None)
def test_a_name_that_is_taken_stops_nothing(case: Case) -> None:
    async def story(env: Env) -> None:
        assert case.collide is not None
        async with contract.world(env, case) as w:
            await case.collide(w)
            await contract.play_story(w, case)
            await contract.left_alone(w, case)

    virtual.run(story)


@contextlib.asynccontextmanager
async def _beside(work: Any) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

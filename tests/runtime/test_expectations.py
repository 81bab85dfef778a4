"""A controller does not act twice on what its cache does not show yet."""

from __future__ import annotations

from trireme.kit.env import Env
from trireme.runtime.expectations import Expectations
from trireme.runtime.keys import Key
from trireme.testing import virtual

A, B = Key("ns", "a"), Key("ns", "b")


@virtual.test()
async def test_creations(env: Env) -> None:
    expected = Expectations(env.clock)
    assert expected.satisfied(A)
    expected.expect_creations(A, 2)
    expected.creation_observed(A)
    expected.creation_observed(B)
    assert not expected.satisfied(A) and expected.satisfied(B)
    expected.creation_observed(A)
    assert expected.satisfied(A)
    # More than expected (somebody else's) is no debt for the next time.
    expected.creation_observed(A)
    expected.expect_creations(A, 1)
    assert not expected.satisfied(A)


@virtual.test()
async def test_deletions_count_once_for_each_object(env: Env) -> None:
    expected = Expectations(env.clock)
    expected.expect_deletions(A, ["u1", "u2"])
    expected.deletion_observed(A, "u1")
    expected.deletion_observed(A, "u1")
    assert not expected.satisfied(A) and expected.deleting(A) == {"u2"}
    expected.deletion_observed(A, "u2")
    assert expected.satisfied(A)


@virtual.test()
async def test_what_never_shows_is_given_up(env: Env) -> None:
    expected = Expectations(env.clock)
    expected.expect(A, 1, ["u"])
    await env.clock.sleep(299)
    assert not expected.satisfied(A)
    await env.clock.sleep(2)
    assert expected.satisfied(A)
    expected.expect_creations(A, 1)
    expected.forget(A)
    assert expected.satisfied(A)

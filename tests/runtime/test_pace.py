"""A key is looked at so often and no more."""

from __future__ import annotations

import pytest

from trireme.runtime.keys import Key
from trireme.runtime.pace import Pace
from trireme.testing import virtual

KEY = Key("default", "a")


@virtual.test()
async def test_the_next_look_waits(env):
    pace = Pace(env.clock)
    assert pace.delay(KEY) <= 0
    pace.looked(KEY, 2.0)
    assert pace.delay(KEY) == 2.0
    assert pace.delay(Key("default", "b")) <= 0
    await env.clock.sleep(1.5)
    assert pace.delay(KEY) == pytest.approx(0.5)
    await env.clock.sleep(1)
    assert pace.delay(KEY) <= 0


@virtual.test()
async def test_forgotten_with_its_object(env):
    pace = Pace(env.clock)
    await env.clock.sleep(1)
    pace.looked(KEY, 60.0)
    pace.forget(KEY)
    assert pace.delay(KEY) <= 0

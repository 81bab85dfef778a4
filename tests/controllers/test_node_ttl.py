"""The annotation that says how long kubelets may keep Secrets and ConfigMaps, by cluster size."""

from __future__ import annotations

import pytest

from tests.controllers import harness
from trireme.api.core import v1 as core
from trireme.controllers.nodes import ttl
from trireme.testing import virtual


@pytest.mark.parametrize(
    ("sizes", "seconds"),
    [
        ([0], 0), ([100], 0), ([101], 15), ([101, 90], 15), ([101, 89], 0), ([500], 15),
        ([501, 450], 30), ([501, 449], 15), ([1001], 60), ([2001], 300), ([2001, 1800], 300),
        ([2001, 1799], 60), ([5000], 300), ([5000, 3], 0), ([5000, 95], 15), ([95], 0),
    ],
)  # fmt: skip
def test_the_seconds_by_size(sizes, seconds):
    step = 0
    for size in sizes:
        step = ttl.compute_step(step, size)
    assert ttl.BOUNDARIES[step].seconds == seconds


@virtual.test()
async def test_a_growing_and_shrinking_cluster(env):
    async with harness.world(env, plays="") as w:

        def seen(name: str) -> str | None:
            return w.get(core.Node, name, "").metadata.annotations.get(ttl.ANNOTATION)

        await w.node("n0")
        await w.until(lambda: seen("n0") == "0")
        for number in range(1, 101):
            await w.node(f"n{number}")
        await w.until(lambda: seen("n100") == "15")
        # The others follow when they change.
        assert seen("n0") == "0"
        await w.client.patch(core.Node, "n0", None, {"metadata": {"labels": {"a": "b"}}})
        await w.until(lambda: seen("n0") == "15")
        change = {"metadata": {"annotations": {ttl.ANNOTATION: "x"}}}
        await w.client.patch(core.Node, "n0", None, change)
        await w.until(lambda: seen("n0") == "15")
        for number in range(12, 101):
            await w.client.delete(core.Node, f"n{number}")
        await w.client.patch(core.Node, "n0", None, {"metadata": {"labels": {"a": "c"}}})
        await w.until(lambda: seen("n0") == "0")

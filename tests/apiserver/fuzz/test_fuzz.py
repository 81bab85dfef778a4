"""The short run: what ``scripts/fuzz`` does with a bigger number."""

from __future__ import annotations

import gc

from tests.apiserver.fuzz.run import ROUND, run

ALLOWED = 24 * 2**20


async def test_no_request_of_many_is_our_fault() -> None:
    report = await run(2 * ROUND, seed=20_300_101)
    assert report.errors == [], "\n".join(report.errors)
    assert not report.leaks(), (report.tasks, report.subscriptions)
    gc.collect()
    first, *_, last = report.memory
    assert last - first < ALLOWED, report.memory
    # The run is worth something: all sorts of answers, and many writes that were taken.
    assert report.answers[201] > 50 and report.answers[200] > 200
    assert report.answers[400] > 200 and report.answers[422] > 200

"""Metrics of API Priority and Fairness, under upstream's names."""

from __future__ import annotations

import asyncio

import prometheus_client
import pytest
from tests.apiserver.fairness.test_server import JO, MAPS

from trireme.apiserver import chain
from trireme.apiserver.request import Request
from trireme.kit.env import Env
from trireme.testing import control_plane, virtual

PREFIX = "apiserver_flowcontrol_"
OF_JO = {"flow_schema": "global-default", "priority_level": "global-default"}


def value(env: Env, name: str, **labels: str) -> float | None:
    return env.metrics.get_sample_value(f"{PREFIX}{name}", labels)


async def ask(server: object, user: object = JO) -> None:
    request = Request("GET", MAPS, user=user)  # type: ignore[arg-type]
    try:
        await chain.handle(server, request)  # type: ignore[arg-type]
    finally:
        request.close()


@virtual.test()
async def test_levels_and_schemas(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    async with control_plane.api_server(env, max_in_flight=10, max_mutating_in_flight=0) as server:
        await ask(server)
        assert value(env, "nominal_limit_seats", priority_level="workload-low") == 5
        assert value(env, "dispatched_requests_total", **OF_JO) == 1
        assert value(env, "request_wait_duration_seconds_count", execute="true", **OF_JO) == 1

        async def slow(*_: object) -> None:
            await env.clock.sleep(3)

        monkeypatch.setattr("trireme.apiserver.filters.authorize.check", slow)
        tasks = [asyncio.ensure_future(ask(server)) for _ in range(400)]
        await asyncio.sleep(0)
        executing = value(env, "current_executing_requests", **OF_JO)
        assert executing
        assert executing == value(env, "current_limit_seats", priority_level="global-default")
        assert value(env, "current_inqueue_requests", **OF_JO) == 300
        refused = value(env, "rejected_requests_total", reason="queue-full", **OF_JO)
        assert refused == 100 - executing
        await asyncio.gather(*tasks)
        assert value(env, "current_inqueue_requests", **OF_JO) == 0
        timed_out = value(env, "rejected_requests_total", reason="time-out", **OF_JO)
        assert timed_out
        failed = value(env, "request_wait_duration_seconds_count", execute="false", **OF_JO)
        assert failed == timed_out
        assert b"# TYPE apiserver_flowcontrol_rejected_requests_total counter" in (
            prometheus_client.generate_latest(env.metrics)
        )

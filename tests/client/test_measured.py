"""Requests are counted under client-go's names, and spaced out where there is a limit."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from trireme.client.measured import Measured, Rate, RestMetrics
from trireme.client.transport import Response, Unreachable
from trireme.kit.env import Env
from trireme.testing import virtual


class Answers:
    """A transport that answers with a status, or not at all."""

    def __init__(self) -> None:
        self.status = 200

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        if not self.status:
            raise Unreachable("no answer")
        return Response(self.status, {}, b"x" * 100)

    async def close(self) -> None:
        return


def measured(env: Env, inner: Answers, rate: Rate | None = None) -> Measured:
    counts = RestMetrics(env.metrics, "api:6443")
    return Measured(inner, counts, env.clock, rate)  # type: ignore[arg-type]  # no streams here


async def get(transport: Measured, method: str = "GET") -> Response:
    return await transport.request(method, "/api", "", {}, b"12345")


@virtual.test()
async def test_requests_are_counted_by_code_and_method(env: Env) -> None:
    inner = Answers()
    transport = measured(env, inner)
    await get(transport)
    await get(transport)
    inner.status = 409
    await get(transport, "PUT")
    inner.status = 0
    with pytest.raises(Unreachable):
        await get(transport)

    def total(code: str, method: str) -> float | None:
        labels = {"code": code, "method": method, "host": "api:6443"}
        return env.metrics.get_sample_value("rest_client_requests_total", labels)

    assert (total("200", "GET"), total("409", "PUT"), total("<error>", "GET")) == (2, 1, 1)
    labels = {"verb": "GET", "host": "api:6443"}
    for name, expected in (("request_size", 10.0), ("response_size", 200.0)):
        found = env.metrics.get_sample_value(f"rest_client_{name}_bytes_sum", labels)
        assert found == expected


@virtual.test()
async def test_requests_beyond_the_burst_wait_for_their_turn(env: Env) -> None:
    transport = measured(env, Answers(), Rate(qps=2.0, burst=3))
    began = env.clock.monotonic()
    times = []
    for _ in range(6):
        await get(transport)
        times.append(env.clock.monotonic() - began)
    assert times == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5]
    # The bucket fills again, and not beyond the burst.
    await env.clock.sleep(60.0)
    began = env.clock.monotonic()
    for _ in range(4):
        await get(transport)
    assert env.clock.monotonic() - began == 0.5


@virtual.test()
async def test_without_a_limit_nothing_waits(env: Env) -> None:
    transport = measured(env, Answers(), Rate())
    began = env.clock.monotonic()
    for _ in range(1000):
        await get(transport)
    assert env.clock.monotonic() == began

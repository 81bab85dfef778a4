"""A body is read once it is known who sends it and that they may: nobody else's takes memory.

Before that, and for all requests together, what is read and waits to be is bounded. Upstream reads
a body in the handler, behind authentication and authorization; ``Expect: 100-continue`` is Go's.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.apiserver import wire
from tests.apiserver.wire import LIMITS, MAPS, PATIENCE, POWERLESS, Site, site
from trireme.apiserver import bodies
from trireme.apiserver.connections import Limits
from trireme.apiserver.settings.authentication import Authentication
from trireme.kit import connections

__all__ = ["site"]

LARGE = bodies.BODY_LIMIT


def begun(token: str, length: int = LARGE, expect: str = "") -> bytes:
    """The head of a request with a body that does not come."""
    head = wire.request("POST", MAPS, token=token, Content_Type="application/json")
    more = f"Expect: {expect}\r\n" if expect else ""
    return head[:-2] + f"Content-Length: {length}\r\n{more}\r\n".encode()


@pytest.mark.parametrize(("token", "code"), [("made-up", 401), (POWERLESS, 403)])
async def test_who_may_not_send_it_is_answered_at_once(site: Site, token: str, code: int) -> None:
    client = await site.wire()
    client.send(begun(token))
    status, headers, body = await client.answer()
    assert (status, json.loads(body)["code"], headers["connection"]) == (code, code, "close")
    await client.ended()


async def test_who_sends_it_all_the_same_gets_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with wire.served(caplog, of_limit(1_000_000)) as site:
        clients = [await site.wire() for _ in range(20)]
        for client in clients:
            client.send(begun("made-up") + b"x" * LARGE)
        assert {(await client.answer())[0] for client in clients} == {401}
        assert site.budget.held == 0


# Whoever waits to be told to send it.


async def test_the_client_is_told_to_go_on_when_the_body_is_read(site: Site) -> None:
    client = await site.wire()
    body = wire.config_map("expected")
    client.send(begun(wire.TOKEN, len(body), expect="100-continue"))
    status, headers, _ = await client.answer()
    assert (status, headers) == (100, {"": ""})
    client.send(body)
    assert (await client.answer())[0] == 201
    client.send(wire.request("GET", f"{MAPS}/expected"))
    assert (await client.answer())[0] == 200


async def test_who_may_not_is_never_told_to_go_on(site: Site) -> None:
    client = await site.wire()
    client.send(begun("made-up", expect="100-Continue"))
    status, headers, _ = await client.answer()
    assert (status, headers["connection"]) == (401, "close")
    await client.ended()


async def test_a_body_that_nobody_looks_at_is_not_asked_for(site: Site) -> None:
    client = await site.wire()
    client.send(begun(wire.TOKEN, expect="100-continue").replace(MAPS.encode(), b"/nowhere"))
    status, headers, _ = await client.answer()
    assert (status, headers["connection"]) == (404, "close")


async def test_what_else_a_client_expects_is_refused(site: Site) -> None:
    client = await site.wire()
    client.send(begun(wire.TOKEN, expect="200-maybe"))
    assert (await client.answer())[0] == 417
    await client.ended()


async def test_a_body_said_to_be_too_large_is_not_waited_for(site: Site) -> None:
    client = await site.wire()
    client.send(begun(wire.TOKEN, LARGE + 1, expect="100-continue"))
    assert (await client.answer())[0] == 413


# All of them together.


def of_limit(held: int) -> Limits:
    return Limits(LIMITS.head, body=5.0, stalled=5.0, farewell=5.0, held=held)


async def test_bodies_wait_for_room_and_give_it_back(caplog: pytest.LogCaptureFixture) -> None:
    async with wire.served(caplog, of_limit(1_000_000)) as site:
        clients = [await site.wire() for _ in range(6)]
        body = wire.config_map("w", data={"k": "x" * 600_000})
        most = 0
        for client in clients:
            client.send(begun(wire.TOKEN, len(body)) + body)

        async def watched() -> None:
            nonlocal most
            while True:
                most = max(most, site.budget.held)
                await asyncio.sleep(0)

        watching = asyncio.create_task(watched())
        codes = sorted([(await client.answer())[0] for client in clients])
        watching.cancel()
        assert codes == [201, 409, 409, 409, 409, 409]
        # A user's half, and the one that may go beyond it.
        assert most <= 500_000 + 600_100 + 6 * bodies.SMALL
        assert site.budget.held == 0


async def test_bodies_that_stop_half_way_do_not_stop_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    body = wire.config_map("goes-on", data={"k": "x" * 300_000})
    async with wire.served(caplog, of_limit(1_000_000), authentication=TOKENS) as site:
        stopped = [await site.wire() for _ in range(5)]
        for client in stopped:
            client.send(begun("stopping") + b" " * 200_000)
        # Half of all, and the one that may go beyond.
        await held(site, 450_000)
        assert (await site.ask("POST", MAPS, body))[0] == 201
        assert (await site.ask("POST", MAPS, wire.config_map("a"), token="stopping"))[0] == 201
        for client in stopped:
            client.close()
        await held(site, 0)


TOKENS = Authentication(
    static_tokens={name: (name, "1", ("system:masters",)) for name in (wire.TOKEN, "stopping")}
)


async def test_heads_without_end_are_cut_off_together(caplog: pytest.LogCaptureFixture) -> None:
    async with wire.served(caplog, of_limit(1_000_000)) as site:
        first, later = [[await site.wire() for _ in range(4)] for _ in range(2)]
        for client in first:
            client.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 120_000)
        await held(site, 4 * (120_000 - connections.HEAD_FREE))
        for client in later:
            client.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 120_000)
            status, _, body = await client.answer()
            assert (status, body) == (503, b"503 Service Unavailable")
        assert site.budget.held <= 1_000_000
        await site.alive()
        for client in first:
            client.send(b"\r\nHost: a\r\n\r\n")
            assert (await client.answer())[0] == 403
        assert site.budget.held == 0


async def held(site: Site, count: int) -> None:
    """Return once all requests together hold so much, or nothing where that is 0."""
    async with asyncio.timeout(PATIENCE):
        while site.budget.held < count or (not count and site.budget.held):  # noqa: ASYNC110
            # The server runs on this loop: each turn brings it on.
            await asyncio.sleep(0)

"""Only so many requests are answered at a time: 429 beyond, and a second later is soon enough.

The bounds count alone where --enable-priority-and-fairness is false; else priority levels divide
their sum (``test_a_noisy_client_holds_up_no_others``). Upstream: --max-requests-inflight 400 and
--max-mutating-requests-inflight 200; the bounds are not for watches and streams, and whoever is in
system:masters is always answered.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver import wire
from tests.apiserver.wire import MAPS, POWERLESS, Site
from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
from trireme.apiserver.connections import Limits
from trireme.apiserver.filters.in_flight import InFlight
from trireme.apiserver.request import Request, User, is_long_running
from trireme.apiserver.settings.fairness import FairnessSettings
from trireme.cluster import apiserver_flags
from trireme.store.memory import MemoryStore

USER, MASTER = User("jo"), User("root", groups=("system:masters",))


def test_the_bounds_are_upstreams() -> None:
    fields = ApiServerConfig.__dataclass_fields__
    assert (fields["max_in_flight"].default, fields["max_mutating_in_flight"].default) == (400, 200)
    plain = ApiServerConfig(store=MemoryStore(), service_accounts=ServiceAccountKeys(b""))
    config = apiserver_flags.configured(plain, ())
    assert (config.max_in_flight, config.max_mutating_in_flight) == (400, 200)


def asked(method: str = "GET", path: str = MAPS, query: str = "", user: User = USER) -> Request:
    return Request(method, path, query, user=user)


def test_readers_and_writers_are_counted_apart() -> None:
    limits = InFlight(2, 1)
    reading = [asked(), asked(path="/version")]
    assert [limits.enter(request) for request in reading[:1]] == [None]
    writing = asked("POST")
    assert limits.enter(writing) is None
    refusal = limits.enter(asked("DELETE"))
    assert refusal is not None
    assert (refusal.status, refusal.headers["Retry-After"]) == (429, "1")
    assert refusal.body == b"Too many requests, please try again later.\n"
    writing.close()
    assert limits.enter(asked("PATCH")) is None
    assert limits.enter(asked()) is None
    assert limits.enter(asked()) is not None
    reading[0].close()
    reading[0].close()
    assert limits.enter(asked()) is None
    assert limits.enter(asked()) is not None


def test_masters_are_always_answered() -> None:
    limits = InFlight(1, 1)
    assert limits.enter(asked(user=MASTER)) is None
    assert limits.enter(asked()) is not None
    assert limits.enter(asked(user=MASTER)) is None


def test_no_limit() -> None:
    limits = InFlight(0, 0)
    assert all(limits.enter(asked()) is None for _ in range(1000))


@pytest.mark.parametrize(
    ("path", "query", "lasts"),
    [
        (MAPS, "", False),
        (MAPS, "watch=1", True),
        ("/api/v1/watch/pods", "", True),
        ("/api/v1/namespaces/default/pods/a/log", "", True),
        ("/api/v1/namespaces/default/pods/a/exec", "", True),
        ("/api/v1/namespaces/default/pods/a/attach", "", True),
        ("/api/v1/namespaces/default/pods/a/portforward", "", True),
        ("/api/v1/namespaces/default/services/a/proxy/x", "", True),
        ("/api/v1/namespaces/default/pods/a/status", "", False),
        ("/debug/pprof/heap", "", True),
        ("/version", "", False),
    ],
)
def test_what_lasts_is_not_counted(path: str, query: str, lasts: bool) -> None:
    assert is_long_running(asked(path=path, query=query).info) is lasts


async def test_on_the_wire(caplog: pytest.LogCaptureFixture) -> None:
    more: dict[str, Any] = {
        "max_mutating_in_flight": 1, "fairness": FairnessSettings(enabled=False),
    }  # fmt: skip
    async with wire.served(caplog, Limits(farewell=5.0), **more) as site:
        # Counted until it is answered: its body has not come yet.
        first = await begun(site)
        other = await site.wire()
        other.send(wire.request("POST", MAPS, b"{}", token=POWERLESS))
        status, headers, body = await other.answer()
        assert (status, headers["retry-after"]) == (429, "1")
        assert headers["content-type"] == "text/plain; charset=utf-8"
        assert body == b"Too many requests, please try again later.\n"
        assert (await site.ask("GET", MAPS))[0] == 200
        first.send(wire.config_map("counted"))
        assert (await first.answer())[0] == 201
        other.send(wire.request("POST", MAPS, b"{}", token=POWERLESS))
        assert (await other.answer())[0] == 403


async def begun(site: Site) -> wire.Wire:
    """A write that waits for its body."""
    client = await site.wire()
    client.send(
        wire.request(
            "POST", MAPS, Content_Type="application/json", Expect="100-continue",
            Content_Length=str(len(wire.config_map("counted"))),
        )
    )  # fmt: skip
    assert (await client.answer())[0] == 100
    return client

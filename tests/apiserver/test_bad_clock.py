"""The clock is set back by an hour while the server runs: nothing hangs, ends early, or is a 500.

Durations are counted on the monotonic clock; only what is written down as a time of day moves.
"""

from __future__ import annotations

import json
from typing import Any

from tests.apiserver.conftest import ADMIN, Asker
from trireme.apiserver import chain
from trireme.apiserver.authn import tokens
from trireme.apiserver.reply.reply import StreamReply
from trireme.apiserver.request import Request
from trireme.kit.clock import VirtualClock
from trireme.kit.env import Env
from trireme.machinery import time
from trireme.testing import control_plane, virtual

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
EVENTS = "/api/v1/namespaces/default/events"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
TOKEN = "/api/v1/namespaces/default/serviceaccounts/default/token"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
AGENT = {"user-agent": "test/1"}
MERGE = {"content-type": "application/merge-patch+json"}
HOUR = 3600.0


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": data}


def set_back(env: Env) -> None:
    assert isinstance(env.clock, VirtualClock)
    env.clock.skew -= HOUR


@virtual.test()
async def test_writes_and_their_times(env: Env) -> None:
    async with control_plane.api_server(env) as server:
        ask = Asker(server, ADMIN)
        _, made = await ask("POST", MAPS, config_map("a", k="u"), AGENT)
        set_back(env)
        status, patched = await ask("PATCH", f"{MAPS}/a", {"data": {"k": "v"}}, MERGE | AGENT)
        assert status == 200
        assert patched["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
        assert int(patched["metadata"]["resourceVersion"]) > int(
            made["metadata"]["resourceVersion"]
        )
        now = time.format(env.clock.now())
        assert now < made["metadata"]["creationTimestamp"]
        assert now in {entry["time"] for entry in patched["metadata"]["managedFields"]}
        later = await ask.must("POST", MAPS, config_map("b"))
        assert later["metadata"]["creationTimestamp"] == now
        _, table = await ask("GET", f"{MAPS}/a", headers=TABLE)
        assert table["rows"][0]["cells"][-1] == "<invalid>"


@virtual.test()
async def test_a_watch_ends_when_its_seconds_are_over(env: Env) -> None:
    async with control_plane.api_server(env) as server:
        query = "watch=1&timeoutSeconds=100&allowWatchBookmarks=true"
        answer = await chain.handle(server, Request("GET", MAPS, query, user=ADMIN))
        assert isinstance(answer, StreamReply)
        began = env.clock.monotonic()
        set_back(env)
        got = [json.loads(line) async for chunk in answer.chunks for line in chunk.splitlines()]
        assert {one["type"] for one in got} == {"BOOKMARK"}
        assert env.clock.monotonic() - began == 100


@virtual.test()
async def test_events_go_an_hour_after_their_last_write(env: Env) -> None:
    async with control_plane.api_server(env, post_start_hooks=True) as server:
        ask = Asker(server, ADMIN)
        event = {
            "kind": "Event", "apiVersion": "v1", "metadata": {"name": "e"}, "reason": "Test",
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
        }  # fmt: skip
        await ask.must("POST", EVENTS, event)
        await env.clock.sleep(HOUR / 2)
        set_back(env)
        await env.clock.sleep(HOUR / 2 - 60)
        assert (await ask("GET", f"{EVENTS}/e"))[0] == 200
        await env.clock.sleep(4 * 60)
        assert (await ask("GET", f"{EVENTS}/e"))[0] == 404


@virtual.test()
async def test_leases_of_the_future_are_renewed(env: Env) -> None:
    async with control_plane.api_server(env) as server:
        ask = Asker(server, ADMIN)
        lease: dict[str, Any] = {
            "kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": {"name": "l"},
            "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15,
                     "renewTime": time.format_micro(env.clock.now())},
        }  # fmt: skip
        made = await ask.must("POST", LEASES, lease)
        set_back(env)
        made["spec"]["renewTime"] = time.format_micro(env.clock.now())
        renewed = await ask.must("PUT", f"{LEASES}/l", made)
        assert renewed["spec"]["renewTime"] < lease["spec"]["renewTime"]


@virtual.test()
async def test_tokens(env: Env) -> None:
    """One that was issued after now does not hold yet, as upstream has it; a new one does."""
    async with control_plane.api_server(env) as server:
        ask = Asker(server, ADMIN)
        expected = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
        early = (await ask.must("POST", TOKEN, expected))["status"]["token"]
        assert await _held(ask, early) == 201
        set_back(env)
        # What has passed is remembered for some seconds, as upstream does.
        await env.clock.sleep(tokens.CACHE_TTL)
        assert await _held(ask, early) == 401
        late = (await ask.must("POST", TOKEN, expected))["status"]["token"]
        assert await _held(ask, late) == 201
        await env.clock.sleep(HOUR - 30)
        assert await _held(ask, early) == 201


async def _held(ask: Asker, token: str) -> int:
    """What the token's bearer is answered to a question that everybody may ask."""
    review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
    headers = {"authorization": f"Bearer {token}"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    return (await ask.unknown()("POST", path, review, headers))[0]


@virtual.test()
async def test_a_pod_that_is_being_deleted(env: Env) -> None:
    async with control_plane.api_server(env) as server:
        ask = Asker(server, ADMIN)
        spec = {"nodeName": "n", "containers": [{"name": "a", "image": "i"}]}
        pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"}, "spec": spec}
        await ask.must("POST", PODS, pod)
        first = await ask.must("DELETE", f"{PODS}/p?gracePeriodSeconds=30")
        set_back(env)
        again = await ask.must("DELETE", f"{PODS}/p?gracePeriodSeconds=10")
        assert again["metadata"]["deletionGracePeriodSeconds"] == 10
        assert again["metadata"]["deletionTimestamp"] < first["metadata"]["deletionTimestamp"]
        await ask.must("DELETE", f"{PODS}/p?gracePeriodSeconds=0")
        assert (await ask("GET", f"{PODS}/p"))[0] == 404


@virtual.test()
async def test_house_is_kept(env: Env) -> None:
    async with control_plane.api_server(env, post_start_hooks=True) as server:
        ask = Asker(server, ADMIN)
        for number in range(10):
            await ask.must("POST", MAPS, config_map(f"m-{number}"))
        set_back(env)
        before = server.context.store.compacted
        await env.clock.sleep(HOUR)
        assert server.context.store.compacted > before
        assert (await ask("GET", MAPS))[0] == 200

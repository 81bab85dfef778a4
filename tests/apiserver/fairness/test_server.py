"""API Priority and Fairness and deadlines at the real server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.apiserver.test_reading import ADMIN, Api

from trireme.apiserver import chain, dispatch
from trireme.apiserver.filters.fairness import Fairness
from trireme.apiserver.reply.reply import AnyReply, Reply, StreamReply
from trireme.apiserver.request import Request, User
from trireme.kit.env import Env
from trireme.testing import control_plane, virtual

FLOWS = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
LEVELS = "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations"
DEBUG = "/debug/api_priority_and_fairness/dump_"
MAPS = "/api/v1/namespaces/default/configmaps"
JO = User("jo", groups=("system:authenticated",))


def schema(name: str, level: str, user: str) -> dict[str, Any]:
    rule = {
        "subjects": [{"kind": "User", "user": {"name": user}}],
        "resourceRules": [
            {
                "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"],
                "clusterScope": True,
            }
        ],
    }  # fmt: skip
    spec = {
        "matchingPrecedence": 50, "priorityLevelConfiguration": {"name": level}, "rules": [rule],
    }  # fmt: skip
    return {"metadata": {"name": name}, "spec": spec}


async def uids(ask: Api, user: User) -> tuple[str, str]:
    """The headers of an answer."""
    request = Request("GET", MAPS, user=user)
    await chain.handle(ask.server, request)
    request.close()
    headers = request.flow.headers
    return (
        headers["X-Kubernetes-Pf-Flowschema-Uid"],
        headers["X-Kubernetes-Pf-Prioritylevel-Uid"],
    )


@virtual.test()
async def test_an_answer_names_schema_and_level_from_their_creation_on(env: Env) -> None:
    async with control_plane.api_server(env) as server:
        ask = Api(server)
        level = {
            "metadata": {"name": "mine"},
            "spec": {
                "type": "Limited",
                "limited": {"nominalConcurrencyShares": 1, "limitResponse": {"type": "Reject"}},
            },
        }
        before = await uids(ask, JO)
        _, made = await ask("POST", FLOWS, schema("mine", "mine", "jo"))
        assert await uids(ask, JO) == before, "there is no such level"
        _, level = await ask("POST", LEVELS, level)
        assert await uids(ask, JO) == (made["metadata"]["uid"], level["metadata"]["uid"])
        await ask("DELETE", f"{FLOWS}/mine")
        assert await uids(ask, JO) == before


@virtual.test()
async def test_a_schema_without_a_level_dangles(env: Env) -> None:
    async with control_plane.api_server(env, post_start_hooks=True) as server:
        ask = Api(server)
        await ask("POST", FLOWS, schema("mine", "none", "jo"))
        await env.clock.sleep(1)
        for name, status, reason in (("mine", "True", "NotFound"), ("probes", "False", "Found")):
            _, found = await ask("GET", f"{FLOWS}/{name}")
            (condition,) = found["status"]["conditions"]
            assert (condition["type"], condition["status"], condition["reason"]) == (
                "Dangling", status, reason,
            )  # fmt: skip
        text = (
            'This FlowSchema references the PriorityLevelConfiguration object named "none" but '
            "there is no such object"
        )
        _, found = await ask("GET", f"{FLOWS}/mine")
        assert found["status"]["conditions"][0]["message"] == text
        entry = found["metadata"]["managedFields"][0]
        assert (entry["manager"], entry["operation"], entry["subresource"]) == (
            "api-priority-and-fairness-config-consumer-v1", "Apply", "status",
        )  # fmt: skip


@virtual.test()
async def test_a_watch_holds_its_seats_until_its_first_events_are_sent(env: Env) -> None:
    async with control_plane.api_server(env) as server:
        assert isinstance(server.limits, Fairness)
        root = User("jo", groups=("system:authenticated",))
        request = Request("GET", "/api/v1/namespaces/default/pods", "watch=1", user=root)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("trireme.apiserver.filters.authorize.check", lambda *_: None)
            answer = await chain.handle(server, request)
        assert isinstance(answer, StreamReply)
        queues = server.limits.levels.by_name["global-default"].queues
        assert queues.seats_in_use == 1
        waiting = asyncio.ensure_future(anext(aiter(answer.chunks)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert queues.seats_in_use == 0
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await answer.chunks.aclose()
        request.close()
        assert queues.seats_in_use == 0


@virtual.test()
async def test_pages_for_people(env: Env) -> None:
    async with control_plane.api_server(env) as server:
        ask = Api(server)
        for page, first in (
            ("priority_levels", "PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, "),
            ("queues", "PriorityLevelName, Index,  PendingRequests, "),
            ("requests", "PriorityLevelName, FlowSchemaName, QueueIndex, RequestIndexInQueue, "),
            ("requests?includeRequestDetails=1", "PriorityLevelName, FlowSchemaName, QueueIndex, "),
        ):
            answer = await ask.raw("GET", f"{DEBUG}{page}")
            assert answer.status == 200
            assert answer.body.decode().startswith(first), answer.body
        answer = await ask.raw("GET", f"{DEBUG}priority_levels")
        lines = answer.body.decode().splitlines()
        assert [line.split(",")[0] for line in lines[1:4]] == [
            "catch-all", "exempt", "global-default",
        ]  # fmt: skip


async def _stuck(context: Any, handlers: Any, request: Request) -> AnyReply:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("method", "query", "seconds", "text"),
    [
        ("GET", "", 60.0, "request did not complete within the allotted timeout"),
        ("GET", "timeout=0s", 60.0, "request did not complete within the allotted timeout"),
        ("GET", "timeout=10m", 60.0, "request did not complete within the allotted timeout"),
        ("GET", "timeout=2s", 2.0, "request did not complete within the allotted timeout"),
        (
            "POST", "", 34.0,
            "request did not complete within requested timeout - context deadline exceeded",
        ),
    ],
)  # fmt: skip
@virtual.test()
async def test_a_request_lasts_no_longer_than_it_may(
    env: Env, monkeypatch: pytest.MonkeyPatch, method: str, query: str, seconds: float, text: str
) -> None:
    async with control_plane.api_server(env) as server:
        monkeypatch.setattr(dispatch, "dispatch", _stuck)
        began = env.clock.monotonic()
        answer = await chain.handle(
            server, Request(method, MAPS, query, user=User("x", groups=("system:masters",)))
        )
        assert isinstance(answer, Reply)
        assert answer.status == 504
        assert f"Timeout: {text}".encode() in answer.body
        assert env.clock.monotonic() - began == seconds
        current = asyncio.current_task()
        assert current is not None
        assert not current.cancelling()


@virtual.test()
async def test_who_is_cancelled_otherwise_stays_cancelled(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with control_plane.api_server(env) as server:
        monkeypatch.setattr(dispatch, "dispatch", _stuck)
        task = asyncio.ensure_future(chain.handle(server, Request("GET", MAPS, user=ADMIN)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("timeout", "text"),
    [
        ("x", 'invalid timeout specified in the request URL - time: invalid duration "x"'),
        ("5", 'invalid timeout specified in the request URL - time: missing unit in duration "5"'),
    ],
)
@virtual.test()
async def test_a_timeout_that_is_none(env: Env, timeout: str, text: str) -> None:
    async with control_plane.api_server(env) as server:
        status, answer = await Api(server)("GET", f"{MAPS}?timeout={timeout}")
        assert (status, answer["reason"], answer["message"]) == (400, "BadRequest", text)

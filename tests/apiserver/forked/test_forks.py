"""Processes that are forked for requests: they see what the server knows, and write through it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.apiserver import hook_server
from tests.apiserver.conftest import ADMIN
from trireme.apiserver import chain
from trireme.apiserver.context import ServerContext
from trireme.apiserver.forked import estimate, parent
from trireme.apiserver.reply.reply import AnyReply, Reply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.testing import control_plane

MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"


@pytest.fixture(autouse=True)
def everything_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "LIMIT", -1.0)
    monkeypatch.setattr(parent, "_SMALL", 0)


@asynccontextmanager
async def forking(count: int = 2) -> AsyncIterator[ApiServer]:
    async with control_plane.api_server(Env(rng=random.Random(1)), forks=count) as server:
        yield server


async def ask(
    server: ApiServer, method: str, path: str, body: Any = None, media: str = "application/json"
) -> tuple[int, Any]:
    path, _, query = path.partition("?")
    data = b"" if body is None else json.dumps(body).encode()
    request = Request(method, path, query, {"content-type": media}, data, user=ADMIN)
    answer = await chain.handle(server, request)
    request.close()
    assert isinstance(answer, Reply)
    return answer.status, json.loads(answer.body)


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data,
    }  # fmt: skip


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], **spec},
    }


async def test_what_a_process_writes_is_there_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    forked = counted(monkeypatch)
    async with forking() as server:
        status, made = await ask(server, "POST", MAPS, config_map("a", k="1"))
        assert (status, made["data"], len(forked)) == (201, {"k": "1"}, 1)
        made["data"]["k"] = "2"
        status, changed = await ask(server, "PUT", f"{MAPS}/a", made)
        assert (status, changed["data"]) == (200, {"k": "2"})
        status, _ = await ask(server, "PUT", f"{MAPS}/a", made)
        assert status == 409
        status, error = await ask(server, "POST", MAPS, config_map("a"))
        assert (status, error["reason"]) == (409, "AlreadyExists")
        status, error = await ask(server, "POST", MAPS, config_map("Not A Name"))
        assert (status, error["reason"]) == (422, "Invalid")
        assert (await ask(server, "DELETE", f"{MAPS}/a"))[0] == 200
        assert (await ask(server, "DELETE", f"{MAPS}/a"))[0] == 404
        assert len(forked) == 7
        # Plain reads are answered from the bytes that are there.
        assert (await ask(server, "GET", f"{MAPS}/a"))[0] == 404
        assert len(forked) == 7


async def test_patches_that_meet_are_both_there() -> None:
    merge = "application/merge-patch+json"
    async with forking() as server:
        await ask(server, "POST", MAPS, config_map("a"))
        patches = [{"data": {f"k{number}": "v"}} for number in range(6)]
        answers = await asyncio.gather(
            *(ask(server, "PATCH", f"{MAPS}/a", patch, merge) for patch in patches)
        )
        assert [status for status, _ in answers] == [200] * 6
        _, found = await ask(server, "GET", f"{MAPS}/a")
        assert sorted(found["data"]) == [f"k{number}" for number in range(6)]


async def test_no_two_processes_draw_the_same() -> None:
    named = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}}
    async with forking(4) as server:
        made = await asyncio.gather(*(ask(server, "POST", MAPS, named) for _ in range(8)))
        assert {status for status, _ in made} == {201}
        assert len({obj["metadata"]["uid"] for _, obj in made}) == 8


async def test_addresses_are_the_servers_to_give() -> None:
    async with forking(4) as server:
        made = await asyncio.gather(
            *(ask(server, "POST", SERVICES, service(f"s-{number}")) for number in range(6))
        )
        assert [status for status, _ in made] == [201] * 6
        addresses = {obj["spec"]["clusterIP"] for _, obj in made}
        assert len(addresses) == 6
        address = made[0][1]["spec"]["clusterIP"]
        status, error = await ask(server, "POST", SERVICES, service("taken", clusterIP=address))
        assert (status, error["reason"]) == (422, "Invalid")
        # The name is taken, the port that was allocated before that is free again.
        node_port = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}]}
        assert (await ask(server, "POST", SERVICES, service("s-1", **node_port)))[0] == 409
        assert (await ask(server, "POST", SERVICES, service("other", **node_port)))[0] == 201
        # And that of a Service which is gone.
        assert (await ask(server, "DELETE", f"{SERVICES}/s-0"))[0] == 200
        assert (await ask(server, "POST", SERVICES, service("s-0", clusterIP=address)))[0] == 201
        # A dry run takes nothing.
        port = {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30002}]}
        for _ in range(2):
            dry = await ask(server, "POST", f"{SERVICES}?dryRun=All", service("dry", **port))
            assert dry[0] == 201


# Answers that are not from the API, to see the process itself.


async def answered(server: ApiServer, answers: Any, verb: str = "GET") -> AnyReply:
    request = Request(verb, MAPS, user=ADMIN)
    assert server.forks is not None
    try:
        return await server.forks.answer(server.context, request, answers)
    finally:
        request.close()


async def test_a_long_answer_is_whole() -> None:
    body = random.Random(1).randbytes(3_000_000)

    async def answers(_: ServerContext, __: Request, /) -> AnyReply:
        return Reply(203, body, "text/odd", {"X-A": "b"})

    async with forking() as server:
        answer = await answered(server, answers)
        assert isinstance(answer, Reply)
        pieces = list(answer.pieces(65_536))
        assert max(map(len, pieces)) <= 2 * 65_536
        assert b"".join(pieces) == body
        assert (answer.status, answer.content_type) == (203, "text/odd")
        assert (answer.headers, answer.length) == ({"X-A": "b"}, len(body))


async def test_nothing_of_the_servers_is_left_open() -> None:
    async def answers(_: ServerContext, __: Request, /) -> AnyReply:
        with contextlib.suppress(OSError):
            os.fstat(mine)
            return Reply(500)
        return Reply(200)

    async with forking() as server:
        mine = os.open("/etc/passwd", os.O_RDONLY)
        try:
            answer = await answered(server, answers)
        finally:
            os.close(mine)
        assert isinstance(answer, Reply)
        assert answer.status == 200


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM])
async def test_a_process_that_dies_takes_nobody_with_it(how: signal.Signals) -> None:
    async def answers(_: ServerContext, __: Request, /) -> AnyReply:
        os.kill(os.getpid(), how)
        raise AssertionError("still here")

    async with forking() as server:
        with pytest.raises(RuntimeError, match=f"ended with status -{how}"):
            await answered(server, answers)
        assert (await ask(server, "POST", MAPS, config_map("after")))[0] == 201


async def test_a_process_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    started = counted(monkeypatch)

    async def answers(_: ServerContext, __: Request, /) -> AnyReply:
        while True:
            pass

    async with forking() as server:
        monkeypatch.setattr(parent, "TIMEOUT", 0.2)
        with pytest.raises(errors.ApiError) as caught:
            await answered(server, answers)
        assert (caught.value.code, caught.value.reason) == (504, "Timeout")
        assert caught.value.message == (
            "Timeout: request did not complete within the allotted timeout"
        )
        await gone(started[0])


async def test_a_client_that_goes_away_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    started = counted(monkeypatch)

    async def answers(_: ServerContext, __: Request, /) -> AnyReply:
        while True:
            pass

    async with forking(1) as server:
        asking = asyncio.create_task(answered(server, answers))
        while not started:  # noqa: ASYNC110
            # The fork comes with one of the next rounds of this very loop.
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        await gone(started[0])
        # Its slot is free.
        assert (await ask(server, "POST", MAPS, config_map("after")))[0] == 201


async def test_where_nothing_can_be_forked_the_server_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refused)
    async with forking() as server:
        assert (await ask(server, "POST", MAPS, config_map("a")))[0] == 201


async def test_answers_that_nobody_takes_hold_new_ones_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answers(_: ServerContext, __: Request, /) -> AnyReply:
        return Reply(body=b"x" * 1_000_000)

    monkeypatch.setattr(parent, "UNREAD", 1_500_000)
    async with forking() as server:
        assert server.forks is not None
        requests = [Request("GET", MAPS, user=ADMIN) for _ in range(4)]
        asked = [
            asyncio.create_task(server.forks.answer(server.context, request, answers))
            for request in requests[:2]
        ]
        await asyncio.gather(*asked)
        late = asyncio.create_task(server.forks.answer(server.context, requests[2], answers))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not late.done()
        requests[0].close()
        requests[1].close()
        await late
        requests[2].close()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that are forked from now on."""
    pids: list[int] = []
    fork = os.fork

    def forking() -> int:
        pid = fork()
        if pid:
            pids.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", forking)
    return pids


async def gone(pid: int) -> None:
    """Return once a process has ended and was waited for."""
    async with asyncio.timeout(10):
        while os.path.exists(f"/proc/{pid}"):  # noqa: ASYNC110, ASYNC240
            # It is waited for by a callback of this loop.
            await asyncio.sleep(0)


async def test_a_process_asks_webhooks_through_the_server() -> None:
    def admit(asked: dict[str, Any]) -> dict[str, Any]:
        data = asked["object"].get("data", {})
        if "bad" in data:
            return {"allowed": False, "status": {"message": "no"}}
        step = {"op": "add", "path": "/data/from", "value": "webhook"}
        return {**hook_server.patch(step), "warnings": ["w"], "auditAnnotations": {"k": "v"}}

    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    maps = "/api/v1/namespaces/default/configmaps"
    async with forking() as server, hook_server.admission({"/": admit}) as hook:
        given = hook_server.webhook("w.x.io", hook.client())
        configuration = hook_server.configuration("Mutating", "c", given)
        assert (await ask(server, "POST", path, configuration))[0] == 201
        status, made = await ask(server, "POST", maps, config_map("m", a="b"))
        assert (status, made["data"]) == (201, {"a": "b", "from": "webhook"})
        status, got = await ask(server, "POST", maps, config_map("n", bad="b"))
        assert (status, got["message"]) == (
            400,
            'admission webhook "w.x.io" denied the request: no',
        )
        body = json.dumps(config_map("o")).encode()
        request = Request("POST", maps, "", {}, body, user=ADMIN)
        answer = await chain.handle(server, request)
        request.close()
        assert isinstance(answer, Reply)
        # Data that is empty is left out: the patch does not apply.
        assert answer.status == 500
        assert answer.warnings == ['299 - "w"']
        assert request.annotations["w.x.io/k"] == "v"

"""The published OpenAPI, read by schemathesis: what it makes of it is no fault of ours.

It generates each case in 5 to 50 ms, a hundred times what an answer takes: so it judges that the
documents can be used, over a sample of the operations, and ``run`` does the numbers.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.apiserver.fuzz.asks import Ask
from tests.apiserver.fuzz.run import _answer, _fair, documents
from trireme.apiserver.server import ApiServer
from trireme.testing import control_plane

# Operations that are asked, and cases of each.
OPERATIONS = int(os.environ.get("TRIREME_FUZZ_OPERATIONS", "15"))
CASES = int(os.environ.get("TRIREME_FUZZ_CASES", "3"))
SEED = 20_300_101


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[asyncio.Runner, ApiServer]]:
    """One server, and the loop that it is on, for all cases."""
    with asyncio.Runner() as runner:
        context = control_plane.api_server()
        server = runner.run(context.__aenter__())
        yield runner, server
        runner.run(context.__aexit__(None, None, None))


def test_what_schemathesis_makes_of_our_documents(
    running: tuple[asyncio.Runner, ApiServer],
) -> None:
    runner, server = running
    operations = list(_operations(runner.run(documents(server))))
    answered = 0
    for operation in Random(SEED).sample(operations, min(OPERATIONS, len(operations))):
        answered += _ask(runner, server, operation)
    assert answered >= min(OPERATIONS, len(operations))


def _operations(documents: list[dict[str, Any]]) -> Iterator[Any]:
    for document in documents:
        schema = schemathesis.openapi.from_dict(document)
        for found in schema.get_all_operations():
            yield found.ok()


def _ask(runner: asyncio.Runner, server: ApiServer, operation: Any) -> int:
    """The cases of one operation: how many were answered as they should be."""
    count = 0

    @settings(
        max_examples=CASES, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(operation.as_strategy())
    def answer(case: Any) -> None:
        nonlocal count
        ask = _asked(case)
        status, got = runner.run(_answer(server, ask, True))
        assert status < 500 or _fair(ask, status, got), (ask, got[:500])
        count += 1

    answer()
    return count


def _asked(case: Any) -> Ask:
    """A case as the transport hands it over."""
    sent = case.as_transport_kwargs(base_url="http://server")
    from requests import Request

    keys = ("method", "url", "headers", "params", "data", "json", "cookies")
    prepared = Request(**{key: sent[key] for key in keys if key in sent}).prepare()
    path, _, query = str(prepared.path_url).partition("?")
    body = prepared.body or b""
    headers = {name.lower(): str(value) for name, value in prepared.headers.items()}
    if isinstance(case.body, bytes | bytearray):
        body = bytes(case.body)
    elif not isinstance(body, bytes):
        body = body.encode() if isinstance(body, str) else json.dumps(case.body).encode()
    return Ask(str(prepared.method), path, query, headers, body)

"""What is sent again, what is not, and how other answers read."""

from __future__ import annotations

import pytest

from trireme.api.core import v1 as core
from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
from trireme.apiserver.server import ApiServer
from trireme.client import codec
from trireme.client.client import Client
from trireme.client.transport import Response
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.store.memory import MemoryStore
from trireme.testing import clients, virtual
from trireme.testing.fault_injection import FaultInjector

KEY = pki.new_key()


@virtual.test()
async def test_a_busy_server_is_asked_again_when_it_says(env: Env) -> None:
    async with MemoryStore() as store:
        config = ApiServerConfig(store=store, service_accounts=ServiceAccountKeys(KEY))
        injector = FaultInjector(clients.transport(ApiServer(config, env)))
        client = Client(injector, "test", env.clock)
        injector.refuse(errors.too_many_requests("slow down", retry_after=3), times=2)
        await client.list(core.Namespace)
        assert env.clock.monotonic() == 6 and len(injector.calls) == 3

        injector.refuse(errors.too_many_requests("slow down", retry_after=1), times=11)
        with pytest.raises(errors.ApiError) as busy:
            await client.list(core.Namespace)
        assert errors.is_too_many_requests(busy.value) and env.clock.monotonic() == 16

        injector.refuse(errors.internal_error("oops"))
        with pytest.raises(errors.ApiError, match="oops"):
            await client.list(core.Namespace)
        assert env.clock.monotonic() == 16


def test_an_answer_that_is_no_status() -> None:
    error = codec.failure(Response(404, {}, b"404 page not found\n"), "get", "pods", "a")
    assert errors.is_not_found(error)
    assert error.message == "the server could not find the requested resource (get pods a)"
    assert error.has_cause("UnexpectedServerResponse")
    error = codec.failure(Response(502, {}, b"<html>bad gateway"), "list", "pods", "")
    assert error.code == 502 and "<html>bad gateway" in error.message


def test_fields_of_a_newer_server_are_dropped() -> None:
    decoder = codec.Decoder(core.ConfigMap)
    one = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","novel":1},"newer":{}}'
    assert decoder.one(one).metadata.name == "a"
    items, listed = decoder.many(
        b'{"kind":"ConfigMapList","metadata":{"resourceVersion":"7","x":1},"items":[%s]}' % one
    )
    assert [item.metadata.name for item in items] == ["a"] and listed.resourceVersion == "7"
    assert decoder.many(b'{"metadata":{},"items":null}')[0] == []


def test_what_is_no_object_is_refused() -> None:
    decoder = codec.Decoder(core.ConfigMap)
    with pytest.raises(codec.Unreadable):
        decoder.one(b"<html>")
    with pytest.raises(codec.Unreadable):
        decoder.one(b'{"metadata":[]}')
    with pytest.raises(codec.Unreadable):
        decoder.many(b"[]")

"""A member of etcd that accepts a watch and never answers is left; its caller learns why."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from grpc import aio

from trireme.kit.env import Env
from trireme.store.contract import StoreUnavailable
from trireme.store.etcd import EtcdConfig
from trireme.store.etcd.members import EtcdError
from trireme.store.etcd.store import EtcdStore
from trireme.testing import virtual

URL = "http://10.0.0.1:2379"


class Stream:
    """Takes requests, and says nothing."""

    cancelled = False

    async def write(self, message: Any) -> None:
        pass

    async def read(self) -> Any:
        await asyncio.get_running_loop().create_future()

    def cancel(self) -> None:
        self.cancelled = True


class Hung:
    """A member whose history is compacted, and whose watch hangs."""

    url = URL

    def __init__(self) -> None:
        self.stream = Stream()
        self.left: list[Any] = []

    async def read(self, method: str, request: Any) -> Any:
        raise EtcdError(
            aio.AioRpcError(
                grpc.StatusCode.OUT_OF_RANGE,
                aio.Metadata(),
                aio.Metadata(),
                "etcdserver: mvcc: required revision has been compacted",
            )
        )

    async def watch(self) -> tuple[Any, Any]:
        return self, self.stream

    def leave(self, member: Any) -> None:
        self.left.append(member)


@virtual.test()
async def test_a_hung_member_is_left(env: Env) -> None:
    store, members = EtcdStore(EtcdConfig((URL,))), Hung()
    store._members = members  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable, match=f"{URL} does not answer"):
        await store._compacted(5)
    assert members.left == [members]
    assert members.stream.cancelled

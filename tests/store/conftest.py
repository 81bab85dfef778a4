"""The engines that every contract test runs against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.etcd import Etcd

from trireme.store.engine import Engine
from trireme.store.etcd import EtcdStore
from trireme.store.memory import MemoryStore
from trireme.store.sqlite import SqliteStore

# Members of etcd, and whether they speak TLS.
ETCD = {"etcd": (1, False), "three etcd members, TLS": (3, True)}


@pytest.fixture(
    params=["memory", "sqlite", *(pytest.param(name, marks=pytest.mark.interop) for name in ETCD)]
)
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Makes a store that is not started yet; durable stores of one test share their data."""
    with ExitStack() as stack:
        etcd: Etcd | None = None
        if request.param in ETCD:
            members, tls = ETCD[request.param]
            etcd = stack.enter_context(Etcd(members, tls=tls))

        def make(**options: Any) -> Engine:
            if etcd is not None:
                return EtcdStore(etcd.config, **options)
            if request.param == "memory":
                return MemoryStore(**options)
            return SqliteStore(tmp_path / "store.db", **options)

        yield make


@pytest.fixture
async def store(make_store: Callable[..., Engine]):
    async with make_store() as running:
        yield running

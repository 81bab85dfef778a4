"""The engines that every contract test runs against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trireme.store.engine import Engine
from trireme.store.memory import MemoryStore
from trireme.store.sqlite import SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Engine]:
    """Makes a store that is not started yet; SQLite stores of one test share a file."""

    def make(**options: Any) -> Engine:
        if request.param == "memory":
            return MemoryStore(**options)
        return SqliteStore(tmp_path / "store.db", **options)

    return make


@pytest.fixture
async def store(make_store: Callable[..., Engine]):
    async with make_store() as running:
        yield running

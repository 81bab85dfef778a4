"""A two-node cluster for the tests of a file that only need a cluster; our API server beside
upstream's."""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.interop.cluster import Kubectl, running
from tests.interop.real_node import node as node

# Seconds for one test with its fixtures: images, clusters and upstream's own time-outs.
PATIENCE = 600

# A namespace that is being deleted keeps its name for a while.
_NUMBERS = itertools.count(1)


# Gone with the file: other files compare the host before and after.
@pytest.fixture(scope="module")
def cluster() -> Iterator[Kubectl]:
    """A cluster with two nodes, and kubectl on it."""
    with running("interop", "--nodes", "2") as kubectl:
        yield kubectl


@pytest.fixture
def namespace(cluster: Kubectl, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test."""
    words = request.node.name.split("[")[0].removeprefix("test_").replace("_", "-")[:50]
    name = f"{words.strip('-')}-{next(_NUMBERS)}"
    cluster("create", "namespace", name)
    yield name
    cluster("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def both_servers() -> Iterator[tuple[Any, str]]:
    """Upstream's API server, with its etcd, and ours; and the administrator's token of both.

    Needs the folder of upstream's ``kube-apiserver`` and ``etcd`` in UPSTREAM_BINARIES (ETCD may
    name the latter).
    """
    binaries = os.environ.get("UPSTREAM_BINARIES", "")
    if not binaries:
        pytest.skip("UPSTREAM_BINARIES names no folder")
    subjects: Any = _subjects()
    with ExitStack() as undo:
        upstream = undo.enter_context(subjects.upstream(Path(binaries)))
        yield (upstream, undo.enter_context(subjects.trireme())), subjects.TOKEN


def _subjects() -> ModuleType:
    folder = Path(__file__).parents[2] / "bench"
    sys.path.append(str(folder))
    try:
        spec = importlib.util.spec_from_file_location("subjects", folder / "subjects.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["subjects"] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(folder))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real tools take longer than what runs in this process (``timeout`` in pyproject.toml)."""
    for item in items:
        if item.get_closest_marker("interop") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(PATIENCE))

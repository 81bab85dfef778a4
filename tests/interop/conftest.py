"""A two-node cluster for the tests of a file that only need a cluster."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.interop.cluster import Kubectl, running

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

"""Which requests get a process of their own, by their sizes: so much the event loop never does.

The sizes are those of an attack: megabytes of JSON and YAML, a label patch of a ConfigMap with
60,000 keys, thousands of objects as Table and YAML. What users do all day stays where it is.
"""

from __future__ import annotations

import itertools

import pytest

from trireme.apiserver.forked import estimate
from trireme.apiserver.forked.estimate import Work

KB, MB = 1024, 1024 * 1024
YAML = "application/yaml"


@pytest.mark.parametrize(
    "work",
    [
        Work(body=3 * MB, writes=True),
        Work(YAML, body=1 * MB, writes=True),
        Work(YAML, body=20 * KB, writes=True),
        Work("application/apply-patch+yaml", body=20 * KB, writes=True),
        Work("application/vnd.kubernetes.protobuf", body=300 * KB, writes=True),
        Work(body=50 * KB, writes=True, custom=True),
        Work("application/merge-patch+json", body=50, stored=1_440_000, writes=True),
        Work(stored=1_440_000, writes=True),
        Work(form=estimate.YAML, answered=50 * KB, objects=1),
        Work(form=estimate.TABLE, answered=5_000 * 4 * KB, objects=5_000),
        Work(form=estimate.YAML, answered=5_000 * 4 * KB, objects=5_000),
        Work(form=estimate.PRETTY, answered=16 * MB, objects=5_000),
        Work(form=estimate.METADATA, answered=5_000 * 4 * KB, objects=5_000),
        Work(form=estimate.CBOR, answered=1 * MB, objects=100),
        Work(form=estimate.PROTOBUF, answered=1_440_000, objects=1),
    ],
)
def test_long(work: Work) -> None:
    assert estimate.is_long(work)


@pytest.mark.parametrize(
    "work",
    [
        Work(body=10 * KB, writes=True),
        Work(body=100 * KB, writes=True),
        Work(YAML, body=10 * KB, writes=True),
        Work("application/strategic-merge-patch+json", body=500, stored=10 * KB, writes=True),
        Work(body=20 * KB, writes=True, custom=True),
        Work(form=estimate.YAML, answered=10 * KB, objects=1),
        Work(form=estimate.TABLE, answered=100 * 4 * KB, objects=100),
        Work(answered=1_000 * MB, objects=100_000),
        Work(form=estimate.PROTOBUF, answered=100 * KB, objects=1),
    ],
)
def test_not_long(work: Work) -> None:
    assert not estimate.is_long(work)


@pytest.mark.parametrize("form", [estimate.JSON, estimate.YAML, estimate.TABLE])
@pytest.mark.parametrize("custom", [False, True])
def test_more_is_never_quicker(form: str, custom: bool) -> None:
    sizes = [0, 1 * KB, 100 * KB, 10 * MB]
    for less, more in itertools.pairwise(sizes):
        for field in ("body", "stored", "answered", "objects"):
            work = Work(custom=custom, writes=True, form=form)
            found = []
            for size in (less, more):
                object.__setattr__(work, field, size)
                found.append(estimate.microseconds(work))
            assert found == sorted(found)

"""Which nodes a pod's selector and required affinity mean."""

from __future__ import annotations

import msgspec
import pytest

from trireme.api.core.v1.pod.spec import PodSpec
from trireme.domain import node_match

LABELS = {"zone": "a", "size": "10", "gpu": ""}


def expression(key: str, operator: str, *values: str) -> dict:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def field(operator: str, *values: str) -> dict:
    name = {"key": "metadata.name", "operator": operator, "values": list(values)}
    return {"matchFields": [name]}


@pytest.mark.parametrize(
    ("terms", "matches"),
    [
        ([expression("zone", "In", "a", "b")], True),
        ([expression("zone", "In", "b")], False),
        ([expression("none", "In", "a")], False),
        ([expression("zone", "NotIn", "b")], True),
        ([expression("none", "NotIn", "b")], True),
        ([expression("zone", "NotIn", "a")], False),
        ([expression("gpu", "Exists")], True),
        ([expression("none", "Exists")], False),
        ([expression("none", "DoesNotExist")], True),
        ([expression("gpu", "DoesNotExist")], False),
        ([expression("size", "Gt", "9")], True),
        ([expression("size", "Gt", "10")], False),
        ([expression("size", "Lt", "11")], True),
        ([expression("size", "Lt", "x")], False),
        ([expression("zone", "Gt", "1")], False),
        ([expression("none", "Lt", "1")], False),
        ([field("In", "n")], True),
        ([field("In", "m")], False),
        ([field("NotIn", "m")], True),
        # A term is all of its requirements, the terms are alternatives.
        ([{**expression("zone", "In", "a"), **field("In", "m")}], False),
        ([expression("zone", "In", "b"), field("In", "n")], True),
        ([{}], False),
        ([], False),
    ],
)
def test_terms(terms, matches):
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    spec = msgspec.convert({"containers": [], "affinity": {"nodeAffinity": required}}, PodSpec)
    assert node_match.matches(spec, "n", LABELS) is matches


@pytest.mark.parametrize(
    ("selector", "matches"),
    [({}, True), ({"zone": "a", "gpu": ""}, True), ({"zone": "b"}, False), ({"x": ""}, False)],
)
def test_the_node_selector(selector, matches):
    spec = msgspec.convert({"containers": [], "nodeSelector": selector}, PodSpec)
    assert node_match.matches(spec, "n", LABELS) is matches

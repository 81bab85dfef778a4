"""Whom the plan evicts: fewest and least important, and nobody in vain."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trireme.api.core.v1.node_types import Node, NodeStatus
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.status import PodCondition, PodStatus
from trireme.api.policy.v1.poddisruptionbudget import (
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodDisruptionBudgetStatus,
)
from trireme.machinery import labels
from trireme.machinery.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta
from trireme.scheduler import decide, preempt, profile
from trireme.scheduler.framework import PodInfo
from trireme.scheduler.preempt import Budget, Plan, PreemptionState
from trireme.scheduler.score_cache import ScoreCache
from trireme.scheduler.signature import Signatures
from trireme.scheduler.snapshot.columns import Columns

NOW = 2_000_000_000.0


def node(name: str, cpu: str = "4") -> Node:
    return Node(
        metadata=ObjectMeta(name=name),
        status=NodeStatus(allocatable={"cpu": cpu, "memory": "8Gi", "pods": "20"}),
    )


def pod(
    name: str, cpu: int, priority: int = 0, started: str = "2030-01-01T00:00:00Z", **spec: Any
) -> Pod:
    asked = ResourceRequirements(requests={"cpu": str(cpu)})
    given = {"containers": [Container(name="c", resources=asked)], "priority": priority, **spec}
    return Pod(
        metadata=ObjectMeta(name=name, uid=name, namespace="d", labels={"app": name[0]}),
        spec=PodSpec(**given),
        status=PodStatus(startTime=started),
    )


def plan(
    nodes: dict[str, list[Pod]],
    expected: Pod,
    budgets: tuple[Budget, ...] = (),
    nominated: dict[str, list[Pod]] | None = None,
    chance: float = 0.0,
) -> Plan:
    columns = Columns()
    for name, pods in nodes.items():
        columns.set_node(node(name))
        for one in pods:
            columns.set_pod(one, name)
    ahead = nominated or {}
    pod_info = PodInfo(expected, Signatures().of(expected))
    decision = decide.decide(columns, pod_info, ScoreCache(profile.DEFAULT), 0.0, ahead)
    assert not decision.node
    before = columns.requested["cpu"].tolist(), columns.pod_count.tolist()
    case = PreemptionState(columns, pod_info, profile.DEFAULT, ahead, budgets, NOW)
    found = preempt.plan(case, decision, chance)
    assert (columns.requested["cpu"].tolist(), columns.pod_count.tolist()) == before
    return found


def victims(found: Plan) -> list[str]:
    return [one.metadata.name for one in found.victims]


def test_as_few_as_are_needed_and_the_least_important() -> None:
    here = [pod("a", 1, 5), pod("b", 2, 3), pod("c", 1, 4)]
    found = plan({"n": here}, pod("x", 2, 10))
    assert (found.node, victims(found)) == ("n", ["b"])


def test_the_younger_of_equals_goes() -> None:
    old, young = pod("a", 2, 1, "2030-01-01T00:00:00Z"), pod("b", 2, 1, "2030-01-02T00:00:00Z")
    assert victims(plan({"n": [young, old]}, pod("x", 2, 10))) == ["b"]


def test_nobody_goes_for_an_equal() -> None:
    found = plan({"n": [pod("a", 4, 10)]}, pod("x", 1, 10))
    assert (found.node, found.keep) == ("", False)
    assert found.message == f"0/1 nodes are available: 1 {preempt.NO_VICTIMS}."


def test_nobody_goes_in_vain() -> None:
    """The node is too small, even empty."""
    found = plan({"n": [pod("a", 4, 1)]}, pod("x", 5, 10))
    assert found.message == f"0/1 nodes are available: 1 {preempt.NOT_HELPFUL}."


def test_more_important_pods_stand_in_the_way() -> None:
    found = plan({"n": [pod("a", 3, 20), pod("b", 1, 1)]}, pod("x", 2, 10))
    assert found.message == "0/1 nodes are available: 1 Insufficient cpu."


def test_a_pod_that_never_preempts() -> None:
    found = plan({"n": [pod("a", 4, 1)]}, pod("x", 1, 10, preemptionPolicy="Never"))
    assert (found.message, found.keep) == ("not eligible due to preemptionPolicy=Never.", True)


def test_it_waits_for_the_victims_that_are_leaving() -> None:
    leaving = pod("a", 4, 1)
    leaving.metadata.deletionTimestamp = "2030-01-01T00:00:00Z"
    condition = PodCondition(type="DisruptionTarget", status="True", reason=preempt.PREEMPTED)
    leaving.status.conditions = [condition]
    expected = pod("x", 1, 10)
    expected.status.nominatedNodeName = "n"
    found = plan({"n": [leaving], "m": [pod("b", 4, 1)]}, expected)
    assert found.message == "not eligible due to a terminating pod on the nominated node."
    assert found.keep
    leaving.status.conditions = []
    assert plan({"n": [leaving], "m": [pod("b", 4, 1)]}, expected).node


@pytest.mark.parametrize(
    ("nodes", "best"),
    [
        # The lowest highest priority.
        ({"n": [pod("a", 4, 5)], "m": [pod("b", 4, 4)]}, "m"),
        # The smallest sum of priorities: fewer pods.
        ({"n": [pod("a", 2, 4), pod("b", 2, 4)], "m": [pod("c", 4, 4)]}, "m"),
        # The latest start of the most important.
        (
            {
                "n": [pod("a", 4, 4, "2030-01-01T00:00:00Z")],
                "m": [pod("b", 4, 4, "2030-01-05T00:00:00Z")],
            },
            "m",
        ),
    ],
)
@pytest.mark.parametrize("chance", [0.0, 0.6])
def test_the_node_whose_victims_matter_least(
    nodes: dict[str, list[Pod]], best: str, chance: float
) -> None:
    assert plan(nodes, pod("x", 4, 10), chance=chance).node == best


def test_budgets_are_kept_where_that_is_possible() -> None:
    budget = Budget("d", labels.from_set({"app": "a"}), allowed=0)
    nodes = {"n": [pod("a", 4, 1)], "m": [pod("b", 4, 9)]}
    assert plan(nodes, pod("x", 4, 10), (budget,)).node == "m"
    both = [pod("a", 2, 1), pod("b", 2, 9)]
    assert victims(plan({"n": both}, pod("x", 2, 10), (budget,))) == ["b"]
    assert victims(plan({"n": both}, pod("x", 4, 10), (budget,))) == ["b", "a"]


def test_a_budget_is_used_up_pod_by_pod() -> None:
    budget = Budget("d", labels.from_set({"app": "a"}), 1, frozenset({"a3"}))
    pods = [pod("a1", 1), pod("a2", 1), pod("a3", 1), pod("b", 1)]
    violating, others = preempt.by_budget(pods, (budget,))
    assert [one.metadata.name for one in violating] == ["a2"]
    assert [one.metadata.name for one in others] == ["a1", "a3", "b"]


def test_budgets_are_read_from_their_status() -> None:
    def budget(selector: LabelSelector | None) -> PodDisruptionBudget:
        return PodDisruptionBudget(
            metadata=ObjectMeta(name="b", namespace="d"),
            spec=PodDisruptionBudgetSpec(selector=selector),
            status=PodDisruptionBudgetStatus(
                disruptionsAllowed=2, disruptedPods={"a3": "2030-01-01T00:00:00Z"}
            ),
        )

    broken = LabelSelector(matchExpressions=[LabelSelectorRequirement(key="x", operator="Like")])
    given = [LabelSelector(matchLabels={"app": "a"}), LabelSelector(), None, broken]
    found = preempt.budgets(budget(selector) for selector in given)
    assert found[0] == Budget("d", labels.from_set({"app": "a"}), 2, frozenset({"a3"}))
    # A budget whose selector is empty or missing protects nothing, one that is broken is left out.
    pods = [pod("a", 1)] * 5
    assert preempt.by_budget(pods, found[1:]) == ([], pods)
    assert len(found) == 3


def test_room_that_is_promised_to_a_more_important_pod_is_not_taken() -> None:
    here = [pod("a", 4, 1)]
    promised = {"n": [pod("p", 3, 50)]}
    assert not plan({"n": here}, pod("x", 2, 10), nominated=promised).node
    assert victims(plan({"n": here}, pod("x", 1, 10), nominated=promised)) == ["a"]


def test_a_decision_leaves_room_for_promises() -> None:
    columns = Columns()
    for name in ("n", "m"):
        columns.set_node(node(name))
    expected = pod("x", 2)
    pod_info = PodInfo(expected, Signatures().of(expected))
    score_cache = ScoreCache(profile.DEFAULT)
    promised = {"n": [pod("p", 3)]}
    for chance in (0.0, 0.9):
        assert decide.decide(columns, pod_info, score_cache, chance, promised).node == "m"
    promised["m"] = [pod("q", 4)]
    none = decide.decide(columns, pod_info, score_cache, 0.0, promised)
    assert (none.node, none.reasons, len(none.helpable)) == ("", {"Insufficient cpu": 2}, 2)
    assert columns.pod_count.sum() == 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_plan_makes_room_and_no_victim_is_needless(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 3))
    nodes: dict[str, list[Pod]] = {f"n{number}": [] for number in range(count)}
    for number in range(data.draw(st.integers(1, 9))):
        name = data.draw(st.sampled_from(sorted(nodes)))
        one = pod(f"p{number}", data.draw(st.integers(1, 2)), data.draw(st.integers(0, 4)))
        if sum(int(p.spec.containers[0].resources.requests["cpu"]) for p in nodes[name]) <= 2:
            nodes[name].append(one)
    expected = pod("x", data.draw(st.integers(1, 4)), 3)
    columns = Columns()
    for name, pods in nodes.items():
        columns.set_node(node(name))
        for one in pods:
            columns.set_pod(one, name)
    pod_info = PodInfo(expected, Signatures().of(expected))
    score_cache = ScoreCache(profile.DEFAULT)
    if decide.decide(columns, pod_info, score_cache, 0.0).node:
        return
    found = plan(copy.deepcopy(nodes), expected)
    fits = {
        name: sum(
            int(p.spec.containers[0].resources.requests["cpu"])
            for p in pods
            if preempt.priority(p) >= 3
        )
        + int(expected.spec.containers[0].resources.requests["cpu"])
        <= 4
        for name, pods in nodes.items()
    }
    assert bool(found.node) == any(fits.values())
    if not found.node:
        return
    assert fits[found.node]
    assert all(preempt.priority(one) < 3 for one in found.victims)
    for one in found.victims:
        columns.drop_pod(one.metadata.uid)
    assert decide.decide(columns, pod_info, score_cache, 0.0).node == found.node
    for one in found.victims:
        columns.set_pod(one, found.node)
        assert decide.decide(columns, pod_info, score_cache, 0.0).node == ""
        columns.drop_pod(one.metadata.uid)

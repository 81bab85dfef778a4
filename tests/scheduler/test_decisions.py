"""The columns decide as a scheduler does that looks at one node after the other."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trireme.machinery import labels
from trireme.scheduler import decide, profile
from trireme.scheduler.framework import PodInfo
from trireme.scheduler.score_cache import ScoreCache
from trireme.scheduler.signature import Signatures
from trireme.scheduler.snapshot.columns import Columns

from . import reference, worlds

SELECTORS = st.sampled_from([None, labels.from_set({"app": "x"})])


class Both:
    """The same world twice."""

    def __init__(self) -> None:
        self.columns = Columns()
        self.signatures = Signatures()
        self.score_cache = ScoreCache(profile.DEFAULT)
        self.world = reference.World([], [], worlds.SPACES)

    def set_node(self, node) -> None:
        self.drop_node(node.metadata.name)
        self.world.nodes.append(node)
        self.columns.set_node(node)

    def drop_node(self, name) -> None:
        self.world.nodes = [item for item in self.world.nodes if item.metadata.name != name]

    def drop_node_for_good(self, name) -> None:
        self.drop_node(name)
        self.columns.drop_node(name)

    def set_pod(self, pod, name) -> None:
        self.drop_pod(pod.metadata.uid)
        self.world.pods.append((pod, name))
        self.columns.set_pod(pod, name)

    def drop_pod(self, uid) -> None:
        self.world.pods = [item for item in self.world.pods if item[0].metadata.uid != uid]
        self.columns.drop_pod(uid)

    def check(self, pod, selectors, chance) -> str:
        """Decide both ways; the answers are the same."""
        self.world.selectors = selectors
        pod_info = PodInfo(pod, self.signatures.of(pod), selectors, worlds.SPACES)
        decision = decide.decide(self.columns, pod_info, self.score_cache, chance)
        statuses = {
            node.metadata.name: reference.status(self.world, pod, node) for node in self.world.nodes
        }
        good = [node for node in self.world.nodes if statuses[node.metadata.name] is None]
        assert decision.feasible == len(good)
        if good:
            best = reference.totals(self.world, pod, good)
            most = max(best.values())
            assert best[decision.node] == most
            self.check_totals(pod_info, best)
        else:
            received = [item for item in statuses.values() if item is not None]
            assert decision.reasons == Counter(r for _, reasons, _ in received for r in reasons)
            assert decision.plugins == {plugin for plugin, _, _ in received}
            names = {self.columns.names[row] for row in decision.helpable}
            assert names == {name for name, item in statuses.items() if item and not item[2]}
            assert decision.total == len(self.world.nodes)
        return decision.node

    def check_totals(self, pod_info, expected) -> None:
        """All totals are the reference's, but for one number that is the same for all nodes."""
        scores = self.score_cache.of(self.columns, pod_info)
        feasible = np.zeros(self.columns.size, bool)
        for name in expected:
            feasible[self.columns.row_of(name)] = True
        totals = decide.add_cluster_wide_scores(
            self.columns, pod_info, profile.DEFAULT, feasible, scores
        )
        differences = {
            totals[self.columns.row_of(name)] - total for name, total in expected.items()
        }
        assert len(differences) == 1, expected
        assert np.flatnonzero(totals != -np.inf).tolist() == np.flatnonzero(feasible).tolist()


@pytest.mark.parametrize("focus", worlds.FOCUS)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_decisions_are_those_of_the_slow_scheduler(focus, data) -> None:
    both = Both()
    for node in data.draw(worlds.nodes(focus)):
        both.set_node(node)
    for number in range(data.draw(st.integers(0 if focus == "everything" else 4, 8))):
        pod = data.draw(worlds.pods(f"p{number}", focus))
        both.set_pod(pod, data.draw(st.sampled_from(worlds.NAMES)))
    for number in range(3):
        pod = data.draw(worlds.pods(f"new{number}", focus))
        node = both.check(pod, data.draw(SELECTORS), data.draw(st.sampled_from([0.0, 0.5, 0.99])))
        if node:
            both.set_pod(pod, node)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_decisions_stay_right_while_everything_changes(data) -> None:
    """The same few pods are tried again and again, so that what is kept of them is used."""
    both = Both()
    pods = [data.draw(worlds.pods(f"w{number}")) for number in range(2)]
    for step in range(data.draw(st.integers(5, 15))):
        match data.draw(st.sampled_from(["node", "node", "gone", "pod", "pod", "pod", "less"])):
            case "node":
                both.set_node(data.draw(worlds.node(data.draw(st.sampled_from(worlds.NAMES)))))
            case "gone":
                both.drop_node_for_good(data.draw(st.sampled_from(worlds.NAMES)))
            case "pod":
                pod = data.draw(worlds.pods(f"p{step % 5}"))
                both.set_pod(pod, data.draw(st.sampled_from(worlds.NAMES)))
            case "less":
                both.drop_pod(f"p{data.draw(st.integers(0, 4))}")
        for pod in pods:
            both.check(pod, labels.from_set({"app": "x"}), 0.5)


def test_many_nodes_are_no_different_from_few() -> None:
    """The arrays grow, rows are used again."""
    both = Both()
    for number in range(200):
        node = reference.Node(
            metadata=worlds.ObjectMeta(name=f"m{number}", labels={worlds.HOST: f"m{number}"}),
            status=worlds.NodeStatus(allocatable={"cpu": "1", "memory": "1Gi", "pods": "9"}),
        )
        both.set_node(node)
        if number % 7 == 0:
            both.drop_node_for_good(f"m{number - 3}")
    pod = reference.Pod(
        metadata=worlds.ObjectMeta(name="p", uid="p", namespace="a", labels={"app": "x"}),
        spec=worlds.PodSpec(containers=[worlds.Container(name="c")]),
    )
    observed = set()
    for number in range(20):
        made = reference.Pod(
            metadata=worlds.ObjectMeta(
                name=f"p{number}", uid=f"p{number}", namespace="a", labels={"app": "x"}
            ),
            spec=pod.spec,
        )
        name = both.check(made, labels.from_set({"app": "x"}), 0.5)
        both.set_pod(made, name)
        observed.add(name)
    assert len(observed) == 20

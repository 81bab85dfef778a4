"""What a DaemonSet's plan decides, by cases and over random histories."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from tests.controllers.cases import daemonset as case
from trireme.api.apps.v1.daemonset import DaemonSet
from trireme.api.core import v1 as core
from trireme.controllers.workloads.daemonset import compute_backoff, compute_pods, plan
from trireme.controllers.workloads.daemonset.compute_backoff import Backoff
from trireme.controllers.workloads.daemonset.compute_pods import Fit, Placement
from trireme.machinery import meta, time

NOW = 1893456000.0
NODES = ("a", "b", "c", "d")


def daemon_set(surge: Any = 0, unavailable: Any = 1, strategy: str = "", **spec: Any) -> DaemonSet:
    update = {"type": "RollingUpdate"}
    update["rollingUpdate"] = {"maxSurge": surge, "maxUnavailable": unavailable}  # type: ignore
    if strategy:
        update = {"type": strategy}
    found = case.manifest(updateStrategy=update, **spec)
    found.metadata.uid = "ds"
    return found


def node(name: str, taints: Any = (), **labels: str) -> core.Node:
    spec = {"taints": [{"key": k, "effect": e} for k, e in taints]}
    return msgspec.convert({"metadata": {"name": name, "labels": labels}, "spec": spec}, core.Node)


def pod(name: str, state: str = "ready", revision: str = "new", age: float = 0.0) -> core.Pod:
    """On the node that its name begins with."""
    made = core.Pod()
    made.metadata = meta.ObjectMeta(
        name=name,
        namespace="default",
        uid=name,
        labels={"app": "agent", compute_pods.HASH: revision},
        creationTimestamp=time.format(NOW - 1000 - age),
    )
    made.spec.nodeName = name.split("-")[0]
    made.status.phase = {"failed": "Failed", "succeeded": "Succeeded"}.get(state, "Running")
    if state in ("ready", "going"):
        since = time.format(NOW - 100)
        made.status.conditions = [
            core.PodCondition(type="Ready", status="True", lastTransitionTime=since)
        ]
    if state == "going":
        made.metadata.deletionTimestamp = time.format(NOW)
    return made


def planned(found: DaemonSet, *pods: core.Pod, nodes: Any = NODES, backoffs: Any = None) -> Any:
    nodes = [node(n) if isinstance(n, str) else n for n in nodes]
    return plan.plan(found, nodes, pods, ("new", 0), backoffs or {}, NOW)


def does(*args: Any, **more: Any) -> tuple[list[str], list[str]]:
    found = planned(*args, **more)
    return found.create, [item.metadata.name for item in found.delete]


ALL = [pod(n) for n in NODES]
OLD = [pod(f"{n}-old", revision="old") for n in NODES]


@pytest.mark.parametrize(
    ("options", "pods", "create", "delete"),
    [
        ({}, [], ["a", "b", "c", "d"], []),
        ({}, ALL, [], []),
        ({}, ALL[1:], ["a"], []),
        ({}, [*ALL, pod("a-2"), pod("a-3", age=5)], [], ["a", "a-2"]),
        ({}, [*ALL[1:], pod("a", "failed")], [], ["a"]),
        ({}, [*ALL[1:], pod("a", "succeeded")], [], ["a"]),
        # One that is on its way out is not replaced before it is gone; with a surge it is.
        ({}, [*ALL[1:], pod("a", "going")], [], []),
        ({"surge": 1, "unavailable": 0}, [*ALL[1:], pod("a", "going")], ["a"], []),
        # Updates: never more than may be unavailable, the broken ones always.
        ({}, OLD, [], ["a-old"]),
        ({"unavailable": 2}, OLD, [], ["a-old", "b-old"]),
        ({"unavailable": "50%"}, OLD, [], ["a-old", "b-old"]),
        ({"unavailable": "30%"}, OLD, [], ["a-old", "b-old"]),
        ({"unavailable": 0}, OLD, [], ["a-old"]),
        ({}, [pod("a", "running"), *OLD[1:]], [], []),
        ({}, [*OLD[:3], pod("d-old", "running", "old")], [], ["d-old"]),
        ({"strategy": "OnDelete"}, OLD, [], []),
        # With a surge new ones come first.
        ({"surge": 1, "unavailable": 0}, OLD, ["a"], []),
        ({"surge": "50%", "unavailable": 0}, OLD, ["a", "b"], []),
        ({"surge": 1, "unavailable": 0}, [*OLD, pod("a", "running")], [], []),
        ({"surge": 1, "unavailable": 0}, [*OLD, pod("a")], [], ["a-old"]),
        ({"surge": 1, "unavailable": 0}, [*OLD[1:], pod("a"), pod("a-old", "run", "old")],
         [], ["a-old"]),
        ({"surge": 1, "unavailable": 0}, [*OLD[1:], pod("a-old", "run", "old")], ["a", "b"], []),
    ],
)  # fmt: skip
def test_what_is_done(options, pods, create, delete):
    assert does(daemon_set(**options), *pods) == (create, delete)


def test_nodes_that_do_not_fit_lose_their_pod_and_one_that_is_gone_leaves_none_behind():
    nodes = [node("a", [("x", "NoExecute")]), node("b", [("x", "NoSchedule")]), "c"]
    found = planned(daemon_set(), pod("a"), pod("b"), pod("c"), nodes=nodes)
    assert [item.metadata.name for item in found.delete] == ["a"]
    assert found.status.desiredNumberScheduled == 1 and found.status.numberMisscheduled == 2
    template = compute_pods.template_of(daemon_set(), "new")
    unbound = compute_pods.pod_of(daemon_set(), template, "gone")
    unbound.metadata.name = "unbound"
    assert does(daemon_set(), unbound, pod("c"), nodes=["c"]) == ([], ["unbound"])


def test_failed_pods_are_deleted_ever_later():
    states = [*ALL[1:], pod("a", "failed")]
    first = planned(daemon_set(), *states)
    assert [item.metadata.name for item in first.delete] == ["a"]
    assert first.backoffs == {"a": Backoff(1.0, NOW)}
    message = "Found failed daemon pod default/a on node a, will try to kill it"
    assert first.events == [("Warning", "FailedDaemonPod", message)]
    again = planned(daemon_set(), *states, backoffs={"a": Backoff(8.0, NOW - 3)})
    assert (again.delete, again.events, again.revisit) == ([], [], 5.0)
    later = planned(daemon_set(), *states, backoffs={"a": Backoff(8.0, NOW - 9)})
    assert later.backoffs["a"] == Backoff(16.0, NOW)
    assert compute_backoff.after(Backoff(900.0, NOW - 1000), NOW).delay == 900.0
    assert compute_backoff.after(Backoff(900.0, NOW - 2000), NOW).delay == 1.0


@pytest.mark.parametrize(
    ("spec", "taints", "labels", "fit"),
    [
        ({}, [], {}, (True, True)),
        ({"nodeName": "b"}, [], {}, (False, False)),
        ({"nodeName": "a"}, [], {}, (True, True)),
        ({"nodeSelector": {"x": "1"}}, [], {"x": "1"}, (True, True)),
        ({"nodeSelector": {"x": "1"}}, [], {"x": "2"}, (False, False)),
        ({}, [("x", "NoSchedule")], {}, (False, True)),
        ({}, [("x", "NoExecute")], {}, (False, False)),
        ({}, [("x", "PreferNoSchedule")], {}, (True, True)),
        ({}, [("node.kubernetes.io/unreachable", "NoExecute")], {}, (True, True)),
        ({}, [("node.kubernetes.io/unreachable", "NoSchedule")], {}, (False, True)),
        ({}, [("node.kubernetes.io/unschedulable", "NoSchedule")], {}, (True, True)),
        ({}, [("node.kubernetes.io/disk-pressure", "NoSchedule")], {}, (True, True)),
        ({}, [("node.kubernetes.io/network-unavailable", "NoSchedule")], {}, (False, True)),
        (
            {"hostNetwork": True},
            [("node.kubernetes.io/network-unavailable", "NoSchedule")],
            {},
            (True, True),
        ),
        ({"tolerations": [{"operator": "Exists"}]}, [("x", "NoExecute")], {}, (True, True)),
    ],
)
def test_which_nodes_fit(spec, taints, labels, fit):
    found = daemon_set()
    plain = msgspec.to_builtins(found.spec.template.spec)
    found.spec.template.spec = msgspec.convert({**plain, **spec}, core.PodSpec)
    assert Placement(found).fit(node("a", taints, **labels)) == Fit(*fit)


def test_a_pod_is_made_for_its_node():
    found = daemon_set()
    found.metadata.annotations["deprecated.daemonset.template.generation"] = "3"
    terms = [{"matchExpressions": [{"key": "x", "operator": "Exists"}]}]
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "preference": terms[0]}
            ],
        }
    }
    found.spec.template.spec.affinity = msgspec.convert(affinity, core.Affinity)
    made = compute_pods.pod_of(found, compute_pods.template_of(found, "new"), "a")
    by_node = made.spec.affinity.nodeAffinity
    ((field,),) = [
        term.matchFields
        for term in by_node.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms
    ]
    assert (field.key, field.operator, field.values) == ("metadata.name", "In", ["a"])
    assert len(by_node.preferredDuringSchedulingIgnoredDuringExecution) == 1
    assert compute_pods.node_of(made) == "a" and not made.spec.nodeName
    assert made.metadata.labels == {
        "app": "agent",
        "controller-revision-hash": "new",
        "pod-template-generation": "3",
    }
    assert len(made.spec.tolerations) == 6
    assert made.metadata.generateName == "agent-"


def test_a_toleration_of_the_template_loses_its_end():
    found = daemon_set()
    spec = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    found.spec.template.spec.tolerations = [
        msgspec.convert({**spec, "tolerationSeconds": 300}, core.Toleration)
    ]
    tolerations = compute_pods.tolerations_of(found)
    assert len(tolerations) == 6 and tolerations[0].tolerationSeconds is None


def test_the_status():
    states = [pod("a"), pod("b", revision="old"), pod("c", "running"), pod("x")]
    status = planned(daemon_set(minReadySeconds=50), *states, nodes=[*NODES, "e"]).status
    assert status.desiredNumberScheduled == 5 and status.currentNumberScheduled == 3
    assert (status.numberReady, status.numberAvailable, status.numberUnavailable) == (2, 2, 3)
    assert status.updatedNumberScheduled == 2


class History:
    """A DaemonSet over time: nodes come and go, pods fail, the template changes."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        surge = rng.random() < 0.5
        self.limit = rng.randint(1, 3)
        self.set = daemon_set(*((self.limit, 0) if surge else (0, self.limit)))
        self.surges = surge
        self.nodes = {name: node(name) for name in "abcdef"[: rng.randint(1, 6)]}
        self.pods: dict[str, core.Pod] = {}
        self.hash, self.count = "v1", 0
        self.backoffs: dict[str, Backoff] = {}
        self.now = NOW

    def reconcile(self) -> None:
        made = plan.plan(
            self.set,
            self.nodes.values(),
            list(self.pods.values()),
            (self.hash, 0),
            self.backoffs,
            self.now,
        )
        self.backoffs = made.backoffs
        self.check(made)
        for name in made.create:
            self.count += 1
            fresh = pod(f"{name}-{self.count}", "running", self.hash, age=-self.count)
            self.pods[fresh.metadata.name] = fresh
            if self.rng.random() < 0.1:
                return
        for item in made.delete:
            self.change(item.metadata.name, "going")
            if self.rng.random() < 0.1:
                return

    def on(self, name: str) -> list[core.Pod]:
        return [
            item
            for item in self.pods.values()
            if item.spec.nodeName == name
            and item.metadata.deletionTimestamp is None
            and item.status.phase == "Running"
        ]

    def check(self, made: Any) -> None:
        for name in made.create:
            assert self.fits(name)
            assert len(self.on(name)) <= (1 if self.surges else 0), "a pod too many"
        if self.surges:
            twice = sum(len(self.on(name)) > 1 for name in self.nodes)
            beside = [n for n in made.create if any(self.is_up(p) for p in self.on(n))]
            assert twice + len(beside) <= max(twice, self.limit), "more than the surge"
            return
        gone = {item.metadata.name for item in made.delete if self.is_up(item)}
        updated = [n for n in self.nodes if self.fits(n)]
        away = [
            n
            for n in updated
            if not any(self.is_up(p) for p in self.on(n) if p.metadata.name not in gone)
        ]
        before = [n for n in updated if not any(self.is_up(p) for p in self.on(n))]
        assert len(away) <= max(len(before), self.limit), "more than may be unavailable"

    def fits(self, name: str) -> bool:
        return not self.nodes[name].spec.taints

    def is_up(self, item: core.Pod) -> bool:
        return bool(item.status.conditions) and item.metadata.deletionTimestamp is None

    def change(self, name: str, state: str) -> None:
        found = self.pods[name]
        fresh = pod(name, state, found.metadata.labels[compute_pods.HASH])
        fresh.metadata.creationTimestamp = found.metadata.creationTimestamp
        self.pods[name] = fresh

    def live(self, calm: bool) -> None:
        self.now += 1.0 if not calm else 1000.0
        for name, found in list(self.pods.items()):
            luck = self.rng.random()
            if (
                found.metadata.deletionTimestamp is not None
                or found.spec.nodeName not in self.nodes
            ):
                if luck < 0.6:
                    del self.pods[name]
            elif found.status.phase != "Running":
                continue
            elif luck < 0.5:
                self.change(name, "ready")
            elif not calm and luck < 0.6:
                self.change(name, self.rng.choice(["failed", "succeeded", "going", "running"]))

    def happen(self) -> None:
        luck, name = self.rng.random(), self.rng.choice("abcdef")
        if luck < 0.05:
            self.hash = self.rng.choice(["v1", "v2", "v3"])
        elif luck < 0.1:
            taints = self.rng.choice([(), [("x", "NoExecute")], [("x", "NoSchedule")]])
            self.nodes[name] = node(name, taints)
        elif luck < 0.13 and len(self.nodes) > 1:
            self.nodes.pop(name, None)


@pytest.mark.parametrize("block", range(6))
def test_random_histories_stay_within_bounds_and_arrive(block):
    for seed in range(block * 50, block * 50 + 50):
        history = History(random.Random(seed))
        for _ in range(60):
            history.happen()
            history.live(calm=False)
            history.reconcile()
        for _ in range(120):
            history.live(calm=True)
            history.reconcile()
        for name in history.nodes:
            there = history.on(name)
            if history.fits(name):
                assert len(there) == 1, (seed, name, there)
                assert there[0].metadata.labels[compute_pods.HASH] == history.hash, seed
            elif history.nodes[name].spec.taints[0].effect == "NoExecute":
                assert not there, seed

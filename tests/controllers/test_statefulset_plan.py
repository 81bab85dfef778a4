"""What a StatefulSet's plan decides, by cases and over random histories."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from tests.controllers.cases import statefulset as case
from trireme.api.apps.v1.controllerrevision import ControllerRevision
from trireme.api.apps.v1.statefulset_types import StatefulSet
from trireme.api.core import v1 as core
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.controllers.workloads.history import compute_revisions
from trireme.controllers.workloads.statefulset import compute_claims, compute_pods, plan
from trireme.controllers.workloads.statefulset.plan import Correct, Create, Delete, Observed
from trireme.domain import owners
from trireme.machinery import meta, time

NOW = 1893456000.0


def stateful_set(replicas: int = 3, **spec: Any) -> StatefulSet:
    spec.setdefault("volumeClaimTemplates", [])
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    found = case.manifest(replicas, **spec)
    found.metadata.uid = "set"
    return found


def revision(image: str) -> ControllerRevision:
    template = case.manifest(image=image).spec.template
    data = compute_revisions.data_of(template)
    return ControllerRevision(metadata=meta.ObjectMeta(name=f"db-{image}"), data=data)


def pod(number: int, state: str = "ready", image: str = "v1", claims: Any = ()) -> core.Pod:
    """``state``: ready, fresh (ready since now), running, pending, failed, going."""
    owner = stateful_set(volumeClaimTemplates=claims)
    owner.spec.template = case.manifest(image=image).spec.template
    made = compute_pods.made(owner, revision(image), revision(image), number)
    made.metadata.uid = f"{number}-{image}"
    phases = {"pending": "Pending", "failed": "Failed"}
    made.status.phase = phases.get(state, "Running")
    if state in ("ready", "fresh", "going"):
        since = time.format(NOW - (0 if state == "fresh" else 1000))
        made.status.conditions = [
            core.PodCondition(type="Ready", status="True", lastTransitionTime=since)
        ]
    if state == "going":
        made.metadata.deletionTimestamp = time.format(NOW)
    return made


def does(found: StatefulSet, *pods: core.Pod, update: str = "v1", claims: Any = None) -> list[str]:
    """The actions as words."""
    seen = Observed(pods, claims or {}, revision("v1"), revision(update), 0)
    words = {Create: "create", Delete: "delete", Correct: "correct"}
    batches = plan.plan(found, seen, NOW).batches
    return [f"{words[type(a)]} {compute_pods.ordinal(a.pod)}" for batch in batches for a in batch]


PARALLEL = {"podManagementPolicy": "Parallel"}


@pytest.mark.parametrize(
    ("spec", "pods", "actions"),
    [
        ({}, [], ["create 0"]),
        ({}, [pod(0)], ["create 1"]),
        ({}, [pod(0, "running")], []),
        ({}, [pod(0, "pending")], []),
        ({}, [pod(1), pod(2)], ["create 0"]),
        ({}, [pod(0, "failed"), pod(1)], ["delete 0"]),
        ({}, [pod(0, "going"), pod(1)], []),
        ({"minReadySeconds": 10}, [pod(0, "fresh")], []),
        ({"minReadySeconds": 10}, [pod(0)], ["create 1"]),
        (PARALLEL, [], ["create 0", "create 1", "create 2"]),
        (PARALLEL, [pod(1, "failed"), pod(2, "pending")], ["create 0", "delete 1"]),
        ({"replicas": 1}, [pod(0), pod(1), pod(2)], ["delete 2"]),
        ({"replicas": 1}, [pod(0), pod(1), pod(2, "going")], []),
        ({"replicas": 1}, [pod(0), pod(1, "running"), pod(2)], ["delete 2"]),
        ({"replicas": 1}, [pod(0), pod(1, "running"), pod(2, "running")], []),
        ({"replicas": 1}, [pod(0, "running"), pod(1)], []),
        # One that has ended will not become ready: it is not waited for.
        ({"replicas": 1}, [pod(0), pod(1, "failed"), pod(2, "failed")], ["delete 2"]),
        ({"replicas": 1, **PARALLEL}, [pod(0), pod(1), pod(2, "going")], ["delete 1"]),
        ({"replicas": 2, "ordinals": {"start": 5}}, [], ["create 5"]),
        ({"replicas": 2, "ordinals": {"start": 1}}, [pod(0), pod(1), pod(2)], ["delete 0"]),
    ],
)
def test_scaling(spec, pods, actions):
    assert does(stateful_set(**spec), *pods) == actions


def rolling(**fields: Any) -> dict[str, Any]:
    fields.setdefault("partition", 0)
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": fields}}


THREE = [pod(0), pod(1), pod(2)]


@pytest.mark.parametrize(
    ("spec", "pods", "actions"),
    [
        ({}, THREE, ["delete 2"]),
        ({}, [pod(0), pod(1), pod(2, image="v2")], ["delete 1"]),
        (PARALLEL, [pod(0), pod(1), pod(2, "running", "v2")], []),
        (PARALLEL, [pod(0), pod(1, "running"), pod(2, image="v2")], ["delete 1"]),
        (rolling(partition=2), [pod(0), pod(1), pod(2, image="v2")], []),
        (rolling(partition=2), THREE, ["delete 2"]),
        ({"updateStrategy": {"type": "OnDelete"}}, THREE, []),
        (rolling(maxUnavailable=2), THREE, ["delete 2", "delete 1"]),
        ({**rolling(maxUnavailable="50%"), **PARALLEL}, THREE, ["delete 2"]),
        ({**rolling(maxUnavailable=2), **PARALLEL}, [*THREE[:2], pod(2, "going")], ["delete 1"]),
        ({**rolling(maxUnavailable="10%"), **PARALLEL}, THREE, ["delete 2"]),
    ],
)
def test_updates(spec, pods, actions):
    assert does(stateful_set(**spec), *pods, update="v2") == actions


@pytest.mark.parametrize(
    ("spec", "current_replicas", "images"),
    [
        (rolling(partition=1), 0, ["v1", "v2"]),
        (rolling(partition=0), 0, ["v2", "v2"]),
        ({"updateStrategy": {"type": "RollingUpdate"}}, 1, ["v1", "v2"]),
        ({"updateStrategy": {"type": "OnDelete"}}, 1, ["v2", "v2"]),
        ({**rolling(partition=1), "ordinals": {"start": 3}}, 0, ["v1", "v2"]),
    ],
)
def test_which_template_a_new_pod_has(spec, current_replicas, images):
    found = stateful_set(2, **spec)
    found.spec.template = case.manifest(image="v2").spec.template
    found.status.currentReplicas = current_replicas
    first = compute_pods.start(found)
    made = [compute_pods.made(found, revision("v1"), revision("v2"), first + n) for n in range(2)]
    assert [item.spec.containers[0].image for item in made] == images
    assert [compute_pods.revision_of(item) for item in made] == [f"db-{i}" for i in images]


def test_a_pods_identity():
    found = stateful_set(volumeClaimTemplates=[case.CLAIM])
    made = compute_pods.made(found, revision("v1"), revision("v1"), 7)
    assert (made.metadata.name, made.spec.hostname, made.spec.subdomain) == ("db-7", "db-7", "db")
    assert made.metadata.labels == {
        "app": "db",
        "statefulset.kubernetes.io/pod-name": "db-7",
        "apps.kubernetes.io/pod-index": "7",
        "controller-revision-hash": "db-v1",
    }
    (volume,) = made.spec.volumes
    assert (volume.name, volume.persistentVolumeClaim.claimName) == ("data", "data-db-7")
    (claim,) = compute_claims.missing(found, 7, {})
    assert (claim.metadata.name, claim.metadata.labels) == ("data-db-7", {"app": "db"})


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("db-0", ("db", 0)),
        ("my-db-12", ("my-db", 12)),
        ("db", ("", -1)),
        ("db-x", ("", -1)),
        ("db-²", ("", -1)),
        ("db-99999999999", ("db", -1)),
    ],
)
def test_names_are_read(name, read):
    assert compute_pods.split(name) == read


def owned_claim(*references: meta.OwnerReference) -> dict[str, PersistentVolumeClaim]:
    metadata = meta.ObjectMeta(name="data-db-1", ownerReferences=list(references))
    return {"data-db-1": PersistentVolumeClaim(metadata=metadata)}


def policy(deleted: str, scaled: str) -> dict[str, Any]:
    return {
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": deleted, "whenScaled": scaled},
        "volumeClaimTemplates": [case.CLAIM],
    }


@pytest.mark.parametrize(
    ("rule", "replicas", "before", "after"),
    [
        (("Retain", "Retain"), 3, "", ""),
        (("Retain", "Retain"), 3, "set", ""),
        (("Delete", "Retain"), 3, "", "set"),
        (("Delete", "Retain"), 1, "", "set"),
        (("Retain", "Delete"), 3, "", ""),
        (("Retain", "Delete"), 1, "", "pod"),
        (("Retain", "Delete"), 3, "pod", ""),
        (("Delete", "Delete"), 3, "pod", "set"),
        (("Delete", "Delete"), 1, "set", "pod"),
        # Another's claim, and one of a former life, are left alone.
        (("Delete", "Delete"), 1, "other", "other"),
        (("Delete", "Delete"), 1, "stale", "stale"),
    ],
)
def test_who_owns_a_claim(rule, replicas, before, after):
    found, mine = stateful_set(replicas, **policy(*rule)), pod(1)
    other = core.ConfigMap(metadata=meta.ObjectMeta(name="x", uid="x"))
    stale = msgspec.structs.replace(
        found, metadata=msgspec.structs.replace(found.metadata, uid="before")
    )
    known: dict[str, Any] = {"set": found, "pod": mine, "other": other, "stale": stale}
    start = [owners.reference(known[before])] if before else []
    claims = owned_claim(*start)
    changed = compute_claims.corrected(found, mine, claims)
    references = (changed[0] if changed else claims["data-db-1"]).metadata.ownerReferences
    assert [item.uid for item in references] == ([known[after].metadata.uid] if after else [])


def test_a_pod_waits_for_the_end_of_its_predecessors_claim():
    found = stateful_set(2, **policy("Retain", "Delete"))
    claims = owned_claim(owners.reference(pod(1)))
    first = pod(0, claims=[case.CLAIM])
    assert does(found, first, claims={"data-db-0": PersistentVolumeClaim(), **claims}) == []


def test_a_claim_that_is_being_deleted_is_said():
    found = stateful_set(1, volumeClaimTemplates=[case.CLAIM])
    claim = PersistentVolumeClaim(metadata=meta.ObjectMeta(deletionTimestamp=time.format(NOW)))
    seen = Observed([], {"data-db-0": claim}, revision("v1"), revision("v1"), 0)
    ((action,),) = plan.plan(found, seen, NOW).batches
    assert action.problem == "pvc data-db-0 is being deleted" and not action.claims


def test_the_status():
    pods = [pod(0), pod(1, "fresh", "v2"), pod(2, "going"), pod(3, "running", "v2")]
    found = stateful_set(4, minReadySeconds=30)
    seen = Observed(pods, {}, revision("v1"), revision("v2"), 5)
    made = plan.plan(found, seen, NOW)
    status = made.status
    assert (status.replicas, status.readyReplicas, status.availableReplicas) == (4, 3, 2)
    assert (status.currentReplicas, status.updatedReplicas) == (1, 2)
    assert (status.currentRevision, status.updateRevision) == ("db-v1", "db-v2")
    assert (status.collisionCount, made.revisit) == (5, 30.0)


def test_an_update_is_complete_when_all_are_ready():
    seen = Observed([pod(n, image="v2") for n in range(3)], {}, revision("v1"), revision("v2"), 0)
    status = plan.plan(stateful_set(), seen, NOW).status
    assert (status.currentRevision, status.currentReplicas) == ("db-v2", 3)


def test_one_that_is_deleted_does_nothing():
    found = stateful_set()
    found.metadata.deletionTimestamp = time.format(NOW)
    assert does(found, pod(0)) == []


class History:
    """A StatefulSet over time: pods become ready, fail, are deleted; the spec changes."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.spec: dict[str, Any] = {"replicas": rng.randint(0, 5)}
        self.ordered = rng.random() < 0.6
        if not self.ordered:
            self.spec |= PARALLEL
        self.image, self.current = "v1", "v1"
        self.pods: dict[int, core.Pod] = {}
        self.status = StatefulSet().status

    def found(self) -> StatefulSet:
        made = stateful_set(**self.spec)
        made.spec.template = case.manifest(image=self.image).spec.template
        made.status = self.status
        return made

    def reconcile(self) -> None:
        found = self.found()
        pods = list(self.pods.values())
        seen = Observed(pods, {}, revision(self.current), revision(self.image), 0)
        made = plan.plan(found, seen, NOW)
        actions = [action for batch in made.batches for action in batch]
        if self.ordered:
            assert len(actions) <= 1, actions
        for action in actions:
            number = compute_pods.ordinal(action.pod)
            if isinstance(action, Create):
                assert number not in self.pods
                assert compute_pods.in_range(found, number)
                if self.ordered:
                    below = range(compute_pods.start(found), number)
                    assert all(self.is_up(n) for n in below), "a pod before its turn"
                image = action.pod.spec.containers[0].image
                self.pods[number] = pod(number, "pending", image)
            elif isinstance(action, Delete):
                self.check_deletion(found, number)
                self.set(number, "going")
            if self.rng.random() < 0.1:
                # It dies; the status is not written either.
                return
        self.status = made.status
        self.current = made.status.currentRevision.removeprefix("db-")

    def check_deletion(self, found: StatefulSet, number: int) -> None:
        victim = self.pods[number]
        if victim.status.phase == "Failed":
            return
        if not compute_pods.in_range(found, number):
            above = [n for n in self.pods if n > number and not compute_pods.in_range(found, n)]
            assert not self.ordered or not above, "not the highest"
            return
        # An update: below the partition nothing goes, and above it all are updated.
        first = compute_pods.start(found)
        assert number - first >= self.spec.get("partition", 0)
        assert victim.spec.containers[0].image != self.image
        last = first + compute_pods.replicas(found)
        for n in range(number + 1, last):
            assert self.is_up(n) and self.pods[n].spec.containers[0].image == self.image

    def is_up(self, number: int) -> bool:
        return number in self.pods and not compute_pods.is_unavailable(self.pods[number], 0, NOW)

    def set(self, number: int, state: str) -> None:
        image = self.pods[number].spec.containers[0].image
        assert image is not None
        self.pods[number] = pod(number, state, image)

    def live(self, calm: bool) -> None:
        for number, found in list(self.pods.items()):
            luck = self.rng.random()
            if found.metadata.deletionTimestamp is not None:
                if luck < 0.6:
                    del self.pods[number]
            elif found.status.phase == "Failed":
                continue
            elif luck < 0.5:
                self.set(number, "ready")
            elif not calm and luck < 0.6:
                self.set(number, self.rng.choice(["failed", "going", "running"]))

    def change(self) -> None:
        luck = self.rng.random()
        if luck < 0.1:
            self.spec["replicas"] = self.rng.randint(0, 5)
        elif luck < 0.15:
            self.image = self.rng.choice(["v1", "v2", "v3"])
        elif luck < 0.2:
            self.spec["ordinals"] = {"start": self.rng.randint(0, 2)}


@pytest.mark.parametrize("block", range(6))
def test_random_histories_keep_the_order_and_arrive(block):
    for seed in range(block * 30, block * 30 + 30):
        history = History(random.Random(seed))
        for _ in range(60):
            history.change()
            history.live(calm=False)
            history.reconcile()
        for _ in range(100):
            history.live(calm=True)
            history.reconcile()
        found = history.found()
        first = compute_pods.start(found)
        desired = list(range(first, first + compute_pods.replicas(found)))
        stuck = [n for n in history.pods if n not in desired]
        assert not stuck and sorted(history.pods) == desired, (seed, history.pods.keys())
        images = {item.spec.containers[0].image for item in history.pods.values()}
        assert images <= {history.image}, seed
        assert history.current == history.image or not desired, seed

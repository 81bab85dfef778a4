"""Random histories of a Job: pods end as they like, the controller dies where it likes, and every
completion is counted exactly once.

The plan and the status are driven by hand, with an API server of two dicts, so that thousands of
histories take seconds; the same with the real server is ``test_contract``.
"""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec
import pytest

from tests.controllers.test_job_plan import NOW, job, pod
from trireme.controllers.workloads.job import compute_indexes, compute_pod, compute_status, plan
from trireme.controllers.workloads.job.compute_backoff import Backoff
from trireme.controllers.workloads.job.compute_status import Outcome
from trireme.domain import pods as domain_pods
from trireme.machinery import time


class Died(Exception):
    """The controller, between two writes."""


class History:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.indexed = rng.random() < 0.5
        self.completions = rng.randint(1, 12)
        spec: dict[str, Any] = {"completions": self.completions, "parallelism": rng.randint(1, 5)}
        if self.indexed:
            spec["completionMode"] = "Indexed"
            if rng.random() < 0.5:
                spec |= {"backoffLimitPerIndex": rng.randint(0, 2), "backoffLimit": 2**31 - 1}
        if rng.random() < 0.5:
            spec |= {"podReplacementPolicy": "Failed"}
        self.job = job(**spec)
        self.pods: dict = {}
        self.backoff = Backoff()
        self.now = NOW
        self.made = 0
        self.deaths = 0.1
        self.succeeded: set[str] = set()
        self.per_index: dict[int, int] = {}

    def maybe_die(self) -> None:
        if self.rng.random() < self.deaths:
            self.backoff = Backoff()
            raise Died

    def reconcile(self) -> None:
        found = copy.deepcopy(self.job)
        if plan.is_finished(found):
            return
        planned = plan.plan(found, list(self.pods.values()), self.backoff, self.now)
        outcome = self.act(planned)
        self.maybe_die()
        tracking = compute_status.track(planned, outcome, self.now)
        self.job.status = copy.deepcopy(tracking.status)
        self.backoff = planned.backoff
        self.maybe_die()
        removed = set()
        for item in tracking.remove:
            self.untrack(item.metadata.uid)
            removed.add(item.metadata.uid)
            self.maybe_die()
        compute_status.count(tracking.status, tracking.tracked - removed)
        compute_status.finish(tracking, self.now)
        self.job.status = copy.deepcopy(tracking.status)

    def act(self, planned: plan.Plan) -> Outcome:
        active, terminating = len(planned.active), planned.terminating
        match planned.action:
            case plan.Create(indexes):
                for index in indexes:
                    self.create(index, planned)
                    self.maybe_die()
                return Outcome(active + len(indexes), 0, terminating)
            case plan.Remove(victims) | plan.End(victims):
                for item in victims:
                    if isinstance(planned.action, plan.Remove):
                        self.untrack(item.metadata.uid)
                        self.maybe_die()
                    self.delete(item.metadata.uid)
                    self.maybe_die()
                return Outcome(active - len(victims), 0, terminating + len(victims))
        return Outcome(active, 0, terminating)

    def create(self, index: int | None, planned: plan.Plan) -> None:
        self.made += 1
        uid = f"p{self.made}"
        replaced = planned.replaced.get(index) if index is not None else None
        made = compute_pod.pod_of(
            planned.job, compute_pod.template_of(planned.job), index, replaced
        )
        found = pod(uid, "Pending")
        found.metadata.annotations = made.metadata.annotations
        found.metadata.creationTimestamp = time.format(self.now)
        self.pods[uid] = found

    def change(self, uid: str, **fields) -> None:
        found = self.pods.get(uid)
        if found is None:
            return
        metadata = {k: v for k, v in fields.items() if k in ("finalizers", "deletionTimestamp")}
        status = {k: v for k, v in fields.items() if k == "phase"}
        found = msgspec.structs.replace(
            found,
            metadata=msgspec.structs.replace(found.metadata, **metadata),
            status=msgspec.structs.replace(found.status, **status),
        )
        self.pods[uid] = found
        gone = found.metadata.deletionTimestamp is not None and domain_pods.is_finished(found)
        if gone and not found.metadata.finalizers:
            del self.pods[uid]

    def untrack(self, uid: str) -> None:
        self.change(uid, finalizers=[])

    def delete(self, uid: str) -> None:
        self.change(uid, deletionTimestamp=time.format(self.now))

    def live(self, failures: float) -> None:
        """Pods end, or are deleted by somebody."""
        for uid, found in list(self.pods.items()):
            if domain_pods.is_finished(found):
                if self.rng.random() < 0.1:
                    self.delete(uid)
                continue
            luck = self.rng.random()
            if found.metadata.deletionTimestamp is not None:
                self.change(uid, phase="Failed") if luck < 0.7 else None
            elif luck < failures:
                self.change(uid, phase="Failed")
            elif luck < 0.4:
                self.succeeded.add(uid)
                self.change(uid, phase="Succeeded")
            elif luck < 0.45:
                self.delete(uid)

    def check(self) -> None:
        active = [p for p in self.pods.values() if domain_pods.is_active(p)]
        assert len(active) <= (self.job.spec.parallelism or 0)
        status = self.job.status
        uncounted = status.uncountedTerminatedPods
        waiting = len(uncounted.succeeded) if uncounted is not None else 0
        assert status.succeeded + waiting <= self.completions
        if self.indexed:
            indexes = [compute_indexes.index_of(p) for p in active]
            assert len(set(indexes)) == len(indexes), "an index runs twice"

    def step(self, failures: float) -> None:
        self.now += self.rng.choice((1.0, 30.0, 700.0))
        self.live(failures)
        try:
            self.reconcile()
        except Died:
            pass
        self.check()


@pytest.mark.parametrize("block", range(8))
def test_every_completion_counts_once(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        history = History(random.Random(seed))
        for _ in range(history.rng.randint(5, 60)):
            history.step(failures=0.05)
        history.deaths = 0.0
        for _ in range(400):
            if plan.is_finished(history.job):
                break
            history.step(failures=0.0)
        status = history.job.status
        assert plan.is_finished(history.job), (seed, status)
        assert status.uncountedTerminatedPods is not None
        assert not status.uncountedTerminatedPods.succeeded, seed
        assert not status.uncountedTerminatedPods.failed, seed
        ended = plan.finished_condition(history.job)
        assert ended is not None
        if ended.type == plan.COMPLETE:
            assert status.succeeded == history.completions, seed
            assert status.completionTime is not None
        if not history.indexed:
            assert status.succeeded == len(history.succeeded), (seed, status, history.succeeded)
        tracked = [p for p in history.pods.values() if compute_indexes.is_tracked(p)]
        assert not tracked, (seed, "a pod keeps its finalizer")

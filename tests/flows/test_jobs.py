"""Stories of a Job on real nodes: it retries, survives a node, is suspended, is deleted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from tests.flows import screen
from trireme.api.batch.v1.job_types import Job
from trireme.api.core import v1 as core
from trireme.domain import owners
from trireme.machinery import meta, time
from trireme.testing import virtual
from trireme.testing.fake_cri import Behaviour

TRACKING = "batch.kubernetes.io/job-tracking"


def job(name: str = "work", **spec: Any) -> Job:
    container = {
        "name": "main",
        "image": "work:v1",
        "resources": {"requests": {"cpu": "100m"}},
    }
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }
    metadata = {"name": name, "namespace": "default"}
    return msgspec.convert({"metadata": metadata, "spec": {"template": template, **spec}}, Job)


def short(_container: Any, _sandbox: Any) -> Behaviour:
    return Behaviour(run_seconds=3.0)


def condition(s: screen.Screen, kind: str, name: str = "work") -> Any:
    found = s.find(Job, name)
    conditions = found.status.conditions if found is not None else []
    return next((c for c in conditions if c.type == kind and c.status == "True"), None)


@virtual.test(seed=1)
async def test_a_job_completes(env):
    async with screen.watched(env, behave=short) as s:
        await s.client.create(job(completions=5, parallelism=2))
        took = await s.until(lambda: condition(s, "Complete"))
        # Three times three seconds: the next pods come as soon as these have ended.
        assert 9 < took < 11.5
        status = s.find(Job, "work").status
        assert (status.succeeded, status.failed, status.active, status.terminating) == (5, 0, 0, 0)
        assert [c.type for c in status.conditions] == ["SuccessCriteriaMet", "Complete"]
        assert {c.reason for c in status.conditions} == {"CompletionsReached"}
        assert time.parse(status.completionTime) > time.parse(status.startTime)
        assert len(s.pods("work")) == 5
        assert not any(pod.metadata.finalizers for pod in s.pods("work"))
        assert Counter(s.reasons("work")) == {"SuccessfulCreate": 5, "Completed": 1}


@virtual.test(seed=2)
async def test_failures_are_tried_again_ever_later(env):
    tries = 0

    def behave(_container, _sandbox):
        nonlocal tries
        tries += 1
        return Behaviour(run_seconds=1.0, exit_code=int(tries < 4))

    async with screen.watched(env, behave=behave) as s:
        await s.client.create(job(completions=1))
        took = await s.until(lambda: condition(s, "Complete"), 300.0)
        # 10, 20 and 40 seconds.
        assert 70 < took < 100
        status = s.find(Job, "work").status
        assert (status.succeeded, status.failed) == (1, 3)


@virtual.test(seed=3)
async def test_indexes_know_their_number_and_fail_alone(env):
    def behave(container, sandbox):
        value = {e.key: e.value for e in container.envs}["JOB_COMPLETION_INDEX"].decode()
        assert sandbox.hostname == f"work-{value}"
        return Behaviour(run_seconds=1.0, exit_code=int(value == "1"))

    async with screen.watched(env, behave=behave) as s:
        spec: dict[str, Any] = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}
        await s.client.create(job(**spec, backoffLimitPerIndex=1))
        await s.until(lambda: condition(s, "Failed"), 300.0)
        status = s.find(Job, "work").status
        assert (status.completedIndexes, status.failedIndexes) == ("0,2", "1")
        assert (status.succeeded, status.failed) == (2, 2)
        assert condition(s, "Failed").reason == "FailedIndexes"
        assert condition(s, "FailureTarget").message == "Job has failed indexes"
        assert s.reasons("work")[-1] == "FailedIndexes"


@virtual.test(seed=4)
async def test_a_node_dies_and_the_work_is_done_elsewhere(env):
    async with screen.watched(env, nodes=2, behave=lambda c, p: Behaviour(run_seconds=60.0)) as s:
        await s.client.create(job(completions=4, parallelism=4))
        await s.until(lambda: len([p for p in s.pods("work") if p.status.phase == "Running"]) == 4)
        assert {pod.spec.nodeName for pod in s.pods("work")} == {"node-0", "node-1"}
        await s.cluster.stop("node-1")
        await s.until(lambda: condition(s, "SuccessCriteriaMet"), 1200.0)
        # Nobody knows yet whether the pods there have ended: until they have, the Job has not.
        await s.cluster.advance(600)
        assert not condition(s, "Complete") and s.find(Job, "work").status.terminating
        await s.client.delete(core.Node, "node-1")
        await s.until(lambda: condition(s, "Complete"), 1200.0)
        status = s.find(Job, "work").status
        assert (status.succeeded, status.active) == (4, 0)
        assert status.failed >= 1


@virtual.test(seed=5)
async def test_a_job_of_another_controller_is_left_alone(env):
    async with screen.watched(env) as s:
        await s.client.create(job(managedBy="example.com/queue"))
        await s.cluster.advance(60)
        assert not s.pods("work")
        assert s.find(Job, "work").status.startTime is None


@virtual.test(seed=6)
async def test_a_suspended_job_is_changed_and_resumed(env):
    async with screen.watched(env, behave=short) as s:
        await s.client.create(job(suspend=True))
        await s.until(lambda: condition(s, "Suspended"))
        assert s.find(Job, "work").status.startTime is None
        resources = {"requests": {"cpu": "250m"}}
        spec = {
            "containers": [{"name": "main", "resources": resources}],
            "nodeSelector": {"kubernetes.io/hostname": "node-1"},
        }
        await s.client.patch(
            Job, "work", "default", {"spec": {"template": {"spec": spec}}}, "strategic"
        )
        await s.client.patch(Job, "work", "default", {"spec": {"suspend": False}})
        await s.until(lambda: condition(s, "Complete"))
        (pod,) = s.pods("work")
        assert pod.spec.containers[0].resources.requests == {"cpu": "250m"}
        assert pod.spec.nodeName == "node-1"
        assert [r for r in s.reasons("work") if r in ("Suspended", "Resumed")] == [
            "Suspended",
            "Resumed",
        ]


@virtual.test(seed=7)
async def test_a_deleted_job_takes_its_pods_along(env):
    async with screen.watched(env) as s:
        await s.client.create(job(completions=3, parallelism=3))
        await s.until(lambda: len([p for p in s.pods("work") if p.status.phase == "Running"]) == 3)
        options = meta.DeleteOptions(propagationPolicy="Foreground")
        await s.client.delete(Job, "work", "default", options)
        await s.until(lambda: s.find(Job, "work") is None and not s.list(core.Pod))


@virtual.test(seed=8)
async def test_orphaned_pods_lose_the_finalizer(env):
    async with screen.watched(env) as s:
        await s.client.create(job(completions=2, parallelism=2))
        await s.until(lambda: len([p for p in s.pods("work") if p.status.phase == "Running"]) == 2)
        # Jobs keep their pods unless told otherwise.
        await s.client.delete(Job, "work", "default")
        await s.until(lambda: s.find(Job, "work") is None)
        await s.until(lambda: not any(p.metadata.finalizers for p in s.pods("work")))
        assert len(s.pods("work")) == 2
        assert not any(owners.controller_of(pod.metadata) for pod in s.pods("work"))


@virtual.test(seed=9)
async def test_the_deadline_counts_the_time_that_it_runs(env):
    async with screen.watched(env) as s:
        await s.client.create(job(activeDeadlineSeconds=100))
        await s.cluster.advance(60)
        await s.client.patch(Job, "work", "default", {"spec": {"suspend": True}})
        await s.cluster.advance(100)
        await s.client.patch(Job, "work", "default", {"spec": {"suspend": False}})
        took = await s.until(lambda: condition(s, "Failed"), 300.0)
        assert 99 < took < 140
        assert condition(s, "Failed").reason == "DeadlineExceeded"
        assert s.find(Job, "work").status.failed == 1

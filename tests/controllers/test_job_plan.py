"""What a Job's plan decides, by cases; intervals against plain sets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.api.batch.v1.job_types import Job
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.workloads.job import (
    compute_backoff,
    compute_indexes,
    compute_pod,
    compute_policies,
    compute_status,
    intervals,
    plan,
)
from trireme.controllers.workloads.job.compute_backoff import Backoff
from trireme.controllers.workloads.job.compute_status import Outcome
from trireme.machinery import time

NOW = 1893456000.0
sets = st.sets(st.integers(0, 30))


def job(status=None, **spec) -> Job:
    template = {"spec": {"containers": [{"name": "main", "image": "v1"}], "restartPolicy": "Never"}}
    defaults = {"parallelism": 2, "backoffLimit": 6, "completionMode": "NonIndexed"}
    return msgspec.convert(
        {
            "metadata": {"name": "work", "namespace": "default", "uid": "j"},
            "spec": {"template": template, **defaults, **spec},
            "status": status or {},
        },
        Job,
    )


def pod(uid: str, phase: str = "Running", index: int | None = None, **more) -> Pod:
    notes = dict(more.pop("annotations", {}))
    if index is not None:
        notes[compute_indexes.INDEX] = str(index)
    finalizers = [] if more.pop("counted", False) else [compute_indexes.FINALIZER]
    metadata: dict[str, Any] = {
        "name": uid,
        "namespace": "default",
        "uid": uid,
        "annotations": notes,
    }
    metadata |= {"finalizers": finalizers, "creationTimestamp": time.format(NOW - 60)}
    if more.pop("deleted", False):
        metadata |= {"deletionTimestamp": time.format(NOW), "deletionGracePeriodSeconds": 30}
    status: dict[str, Any] = {"phase": phase}
    if "code" in more:
        ended = {"exitCode": more.pop("code"), "finishedAt": time.format(more.pop("at", NOW))}
        status["containerStatuses"] = [
            {"name": "main", "image": "", "imageID": "", "state": {"terminated": ended}}
        ]
    status |= more
    return msgspec.convert({"metadata": metadata, "status": status}, Pod)


def planned(found: Job, *pods: Pod, backoff: Backoff = Backoff(), now: float = NOW) -> plan.Plan:
    return plan.plan(found, pods, backoff, now)


def creates(found: plan.Plan) -> int:
    return len(found.action.indexes) if isinstance(found.action, plan.Create) else 0


@pytest.mark.parametrize(
    ("spec", "status", "pods", "count"),
    [
        ({}, {}, [], 2),
        ({"completions": 1}, {}, [], 1),
        ({"completions": 5}, {"succeeded": 4}, [], 1),
        ({"completions": 5}, {"succeeded": 4}, [pod("a")], 0),
        ({"completions": 5}, {}, [pod("a", "Succeeded")], 2),
        ({"completions": 5, "parallelism": 1000}, {}, [], 5),
        ({"completions": 5000, "parallelism": 1000}, {}, [], 500),
        # Without completions the first success ends it.
        ({"parallelism": 3}, {}, [pod("a", "Succeeded"), pod("b")], 0),
        ({"parallelism": 0}, {}, [], 0),
        ({"suspend": True}, {}, [], 0),
        # A pod that is being deleted is replaced, unless only failed ones are.
        ({"completions": 5}, {"failed": 0}, [pod("a", deleted=True)], 2),
        ({"podReplacementPolicy": "Failed", "completions": 5}, {}, [pod("a", deleted=True)], 1),
    ],
)
def test_how_many_are_created(spec, status, pods, count):
    assert creates(planned(job(status, **spec), *pods)) == count


def test_a_deleted_pod_is_a_failure_and_delays_the_next():
    found = planned(job(completions=5), pod("a", deleted=True))
    # Deleted 30 s ago by its grace period: the 10 s of a first failure are over.
    assert found.failed == 1
    late = planned(job(completions=5), pod("a", "Failed", code=1, at=NOW - 4))
    assert (late.action, late.revisit) == (None, 6.0)
    assert creates(planned(job(completions=5), pod("a", "Failed", code=1, at=NOW - 11))) == 2


@pytest.mark.parametrize(
    ("failures", "wait"), [(0, 0), (1, 10), (2, 20), (3, 40), (7, 600), (50, 600)]
)
def test_the_delay_grows(failures, wait):
    assert compute_backoff.remaining(failures, NOW, NOW) == wait


def test_a_success_resets_the_delay():
    early, late = (pod(f"f{t}", "Failed", code=1, at=NOW + t) for t in (1, 9))
    between = pod("s", "Succeeded", code=0, at=NOW + 5)
    known = Backoff(4, NOW)
    assert compute_backoff.after(known, [], [early, late]) == Backoff(6, NOW + 9)
    assert compute_backoff.after(known, [between], [early, late]) == Backoff(1, NOW + 9)
    assert compute_backoff.after(known, [between], [early]) == Backoff(0, 0.0)
    assert compute_backoff.after(known, [], []) == known


def test_too_many_go_least_advanced_first():
    ready = [{"type": "Ready", "status": "True", "lastTransitionTime": time.format(NOW - 5)}]
    pods = [pod("ready", conditions=ready), pod("running"), pod("pending", "Pending")]
    found = planned(job(completions=1, parallelism=1), *pods)
    assert [p.metadata.uid for p in found.action.pods] == ["pending", "running"]


def test_indexes_twice_or_wrong_go():
    pods = [pod("a", index=0), pod("b", "Pending", index=0), pod("c", index=7), pod("d")]
    found = planned(job(completions=2, completionMode="Indexed"), *pods)
    assert {p.metadata.uid for p in found.action.pods} == {"b", "c", "d"}


def test_the_lowest_free_indexes_are_started():
    status = {"completedIndexes": "0,3-4", "succeeded": 3}
    found = planned(
        job(status, completions=9, parallelism=4, completionMode="Indexed"), pod("a", index=1)
    )
    assert found.action.indexes == [2, 5, 6]


ENDS = [
    ({"backoffLimit": 0}, {}, [pod("a", "Failed")], "BackoffLimitExceeded"),
    ({"backoffLimit": 1}, {"failed": 1}, [pod("a", "Failed")], "BackoffLimitExceeded"),
    ({"backoffLimit": 1}, {}, [pod("a", "Failed")], None),
    (
        {"activeDeadlineSeconds": 60},
        {"startTime": time.format(NOW - 60)},
        [pod("a")],
        "DeadlineExceeded",
    ),
    (
        {"activeDeadlineSeconds": 60, "suspend": True},
        {"startTime": time.format(NOW - 60)},
        [pod("a")],
        None,
    ),
    (
        {"completionMode": "Indexed", "completions": 3, "backoffLimitPerIndex": 0},
        {"completedIndexes": "0-1"},
        [pod("a", "Failed", index=2)],
        "FailedIndexes",
    ),
    (
        {
            "completionMode": "Indexed",
            "completions": 9,
            "backoffLimitPerIndex": 0,
            "maxFailedIndexes": 1,
        },
        {},
        [pod("a", "Failed", index=2), pod("b", "Failed", index=3)],
        "MaxFailedIndexesExceeded",
    ),
    (
        {
            "completionMode": "Indexed",
            "completions": 9,
            "successPolicy": {"rules": [{"succeededIndexes": "2-4", "succeededCount": 2}]},
        },
        {"completedIndexes": "1-2"},
        [pod("b", "Succeeded", index=4)],
        "SuccessPolicy",
    ),
]


@pytest.mark.parametrize(("spec", "status", "pods", "reason"), ENDS)
def test_what_ends_a_job(spec, status, pods, reason):
    ending = planned(job(status, **spec), *pods).ending
    assert (ending.reason if ending is not None else None) == reason


def failure_policy(*rules):
    return {"podFailurePolicy": {"rules": list(rules)}, "podReplacementPolicy": "Failed"}


CODES = {"operator": "In", "values": [3, 4]}
DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]


@pytest.mark.parametrize(
    ("rule", "failed", "action", "counts"),
    [
        ({"action": "Ignore", "onExitCodes": CODES}, pod("a", "Failed", code=3), "Ignore", False),
        ({"action": "Ignore", "onExitCodes": CODES}, pod("a", "Failed", code=5), "", True),
        (
            {"action": "Count", "onExitCodes": {**CODES, "operator": "NotIn"}},
            pod("a", "Failed", code=5),
            "Count",
            True,
        ),
        (
            {"action": "FailJob", "onExitCodes": {**CODES, "containerName": "other"}},
            pod("a", "Failed", code=3),
            "",
            True,
        ),
        (
            {"action": "Ignore", "onPodConditions": DISRUPTED},
            pod("a", "Failed", conditions=DISRUPTED),
            "Ignore",
            False,
        ),
        ({"action": "Ignore", "onPodConditions": DISRUPTED}, pod("a", "Failed"), "", True),
    ],
)
def test_the_pod_failure_policy(rule, failed, action, counts):
    match = compute_policies.match(job(**failure_policy(rule)), failed)
    assert (match.action, match.counts, match.message) == (action, counts, "")


def test_a_rule_fails_the_job_with_upstreams_words():
    rule: dict[str, Any] = {"action": "FailJob", "onExitCodes": CODES}
    ending = planned(job(**failure_policy(rule)), pod("a", "Failed", code=3)).ending
    assert (ending.type, ending.reason) == ("FailureTarget", "PodFailurePolicy")
    assert ending.message == (
        "Container main for pod default/a failed with exit code 3 matching FailJob rule at index 0"
    )
    rule = {"action": "FailJob", "onPodConditions": DISRUPTED}
    failed = pod("a", "Failed", conditions=DISRUPTED)
    message = planned(job(**failure_policy(rule)), failed).ending.message
    assert (
        message == "Pod default/a has condition DisruptionTarget matching FailJob rule at index 0"
    )


def test_an_index_waits_for_itself_alone_and_takes_its_count_over():
    spec = {"completionMode": "Indexed", "completions": 3, "backoffLimitPerIndex": 3}
    old = pod(
        "a", "Failed", index=1, code=1, at=NOW - 15, annotations={compute_indexes.FAILURES: "1"}
    )
    found = planned(job(parallelism=3, **spec), old)
    assert found.action.indexes == [0, 2]
    # Twice failed: 20 s, of which 15 are over.
    assert found.revisit == 5.0
    tracking = compute_status.track(found, Outcome(2, 0, 0), NOW)
    assert not tracking.remove, "the failed pod stays until it is replaced"
    made = compute_pod.pod_of(found.job, compute_pod.template_of(found.job), 1, old)
    assert made.metadata.annotations[compute_indexes.FAILURES] == "2"


def test_a_pod_of_an_indexed_job():
    found = job(completionMode="Indexed", completions=3)
    made = compute_pod.pod_of(found, compute_pod.template_of(found), 2, None)
    assert made.metadata.generateName == "work-2-" and made.spec.hostname == "work-2"
    assert made.metadata.annotations == made.metadata.labels == {compute_indexes.INDEX: "2"}
    assert made.metadata.finalizers == [compute_indexes.FINALIZER]
    (variable,) = made.spec.containers[0].env
    assert variable.name == "JOB_COMPLETION_INDEX"
    assert variable.valueFrom.fieldRef.fieldPath == (
        "metadata.labels['batch.kubernetes.io/job-completion-index']"
    )
    found.metadata.name = "n" * 63
    made = compute_pod.pod_of(found, compute_pod.template_of(found), 12, None)
    assert made.metadata.generateName == "n" * 54 + "-12-"


def test_suspended_and_resumed():
    pods = [pod("a")]
    started = {"startTime": time.format(NOW - 9), "active": 1, "ready": 0}
    found = planned(job(started, suspend=True, completions=1), *pods)
    assert found.action == plan.Remove(pods)
    tracking = compute_status.track(found, Outcome(0, 0, 1), NOW)
    assert tracking.status.startTime is None and tracking.event == ("Suspended", "Job suspended")
    (condition,) = tracking.status.conditions
    assert (condition.type, condition.status, condition.reason) == (
        "Suspended",
        "True",
        "JobSuspended",
    )
    resumed = job({"conditions": [msgspec.to_builtins(condition)]}, completions=1)
    found = planned(resumed, now=NOW + 50)
    tracking = compute_status.track(found, Outcome(1, 0, 0), NOW + 50)
    assert tracking.event == ("Resumed", "Job resumed")
    assert tracking.status.startTime == time.format(NOW + 50)
    assert [(c.status, c.reason) for c in tracking.status.conditions] == [("False", "JobResumed")]


@given(sets, sets)
def test_intervals_are_sets(one, other):
    left, right = intervals.of(one), intervals.of(other)
    assert intervals.merge(left, right) == intervals.of(one | other)
    assert intervals.overlap(left, right) == len(one & other)
    assert intervals.total(left) == len(one)
    assert [i for i in range(40) if intervals.has(left, i)] == sorted(one)
    assert list(intervals.missing(left, 25)) == [i for i in range(25) if i not in one]
    assert intervals.parse(intervals.text(left), 25) == intervals.of(i for i in one if i < 25)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", ()),
        ("0,1,2-4", ((0, 4),)),
        ("x,3", ((3, 3),)),
        ("3-x,5", ((5, 5),)),
        ("1-30", ((1, 9),)),
        ("30", ()),
    ],
)
def test_intervals_are_read_leniently(text, read):
    assert intervals.parse(text, 10) == read


def test_intervals_are_written_as_upstream_does():
    assert intervals.text(((0, 1), (3, 5), (7, 7))) == "0,1,3-5,7"

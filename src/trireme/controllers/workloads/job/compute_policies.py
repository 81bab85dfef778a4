"""What a Job's policies say of its pods: which failures count, when enough has succeeded. Pure.

Called by ``plan`` and ``compute_status``. Rules: upstream pkg/controller/job/pod_failure_policy and
success_policy; https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trireme.api.batch.v1.job_types import (
    Job,
    PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule,
)
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.status import ContainerStatus, PodCondition
from trireme.controllers.workloads.job import intervals
from trireme.controllers.workloads.job.intervals import Intervals
from trireme.domain import pods


class Match(msgspec.Struct, frozen=True):
    """``action`` of the first rule that a failed pod matches, "" for none. ``counts`` towards the
    backoff limits; ``message`` says why the whole Job fails, where it does."""

    action: str = ""
    counts: bool = True
    message: str = ""


def only_replaces_failed(job: Job) -> bool:
    """Whether a pod that is being deleted is replaced only once it has ended."""
    return job.spec.podReplacementPolicy == "Failed" or job.spec.podFailurePolicy is not None


def is_failed(job: Job, pod: Pod) -> bool:
    """Whether the pod counts as failed. One that is being deleted may never come to say so."""
    if pod.status.phase == "Failed":
        return True
    if only_replaces_failed(job):
        return False
    return pod.metadata.deletionTimestamp is not None and pod.status.phase != "Succeeded"


def match(job: Job, pod: Pod) -> Match:
    """What the pod failure policy says of a failed pod."""
    policy = job.spec.podFailurePolicy
    for position, rule in enumerate(policy.rules or () if policy is not None else ()):
        if rule.onExitCodes is not None:
            container = _by_exit_code(pod, rule.onExitCodes)
            if container is not None and container.state.terminated is not None:
                code = container.state.terminated.exitCode
                cause = (
                    f"Container {container.name} for pod {_name(pod)} failed with exit code {code}"
                )
                return _matched(rule, f"{cause} matching {rule.action} rule at index {position}")
        elif rule.onPodConditions:
            condition = _by_condition(pod, rule.onPodConditions)
            if condition is not None:
                cause = f"Pod {_name(pod)} has condition {condition.type}"
                return _matched(rule, f"{cause} matching {rule.action} rule at index {position}")
    return Match()


def _matched(rule: PodFailurePolicyRule, message: str) -> Match:
    counts, fails = rule.action != "Ignore", rule.action == "FailJob"
    return Match(rule.action, counts, message if fails else "")


def _name(pod: Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def _by_exit_code(
    pod: Pod, requirement: PodFailurePolicyOnExitCodesRequirement
) -> ContainerStatus | None:
    statuses = (*pod.status.containerStatuses, *pod.status.initContainerStatuses)
    return next((item for item in statuses if _has_code(item, requirement)), None)


def _has_code(
    container: ContainerStatus, requirement: PodFailurePolicyOnExitCodesRequirement
) -> bool:
    ended = container.state.terminated
    if ended is None or not ended.exitCode:
        return False
    if requirement.containerName not in (None, container.name):
        return False
    among = ended.exitCode in (requirement.values or ())
    return among if requirement.operator == "In" else requirement.operator == "NotIn" and not among


def _by_condition(
    pod: Pod, patterns: Iterable[PodFailurePolicyOnPodConditionsPattern]
) -> PodCondition | None:
    desired = {(item.type, item.status) for item in patterns}
    return next((c for c in pod.status.conditions if (c.type, c.status) in desired), None)


def failure_message(job: Job, owned: Iterable[Pod]) -> str:
    """Why a failed pod fails the whole Job; "" when none does."""
    if job.spec.podFailurePolicy is None:
        return ""
    messages = (match(job, pod).message for pod in owned if is_failed(job, pod))
    return next(filter(None, messages), "")


def success_message(job: Job, succeeded: Intervals) -> str:
    """Which rule of the success policy is met by the succeeded indexes; "" when none is."""
    policy = job.spec.successPolicy
    if policy is None or not succeeded:
        return ""
    for position, rule in enumerate(policy.rules or ()):
        if rule.succeededIndexes is not None:
            asked = intervals.parse(rule.succeededIndexes, job.spec.completions or 0)
            count = intervals.overlap(asked, succeeded)
            enough = rule.succeededCount is not None and count >= rule.succeededCount
            met = bool(asked) and (enough or count == intervals.total(asked))
        else:
            met = rule.succeededCount is not None and (
                intervals.total(succeeded) >= rule.succeededCount
            )
        if met:
            return f"Matched rules at index {position}"
    return ""


def restarts_exceed_limit(job: Job, owned: Iterable[Pod]) -> bool:
    """Whether the containers of pods that restart them in place did so too often."""
    if job.spec.template.spec.restartPolicy != "OnFailure":
        return False
    restarts = sum(
        status.restartCount
        for pod in owned
        if pod.status.phase in ("Running", "Pending")
        for status in (*pod.status.initContainerStatuses, *pod.status.containerStatuses)
    )
    limit = job.spec.backoffLimit or 0
    return restarts >= limit if limit else restarts > 0


def ready_count(active: Iterable[Pod]) -> int:
    """How many are ready."""
    return sum(map(pods.is_ready, active))

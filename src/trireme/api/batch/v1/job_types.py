"""Types of job: see the API reference, batch/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int32,
    Int64,
    ListSet,
    Merge,
    Required,
    Struct,
    Time,
    always,
    constant,
    null,
)

CompletionMode = Annotated[str, Enum(("NonIndexed", "Indexed"))]
PodFailurePolicyAction = Annotated[str, Enum(("Count", "FailIndex", "FailJob", "Ignore"))]
PodFailurePolicyOnExitCodesOperator = Annotated[str, Enum(("In", "NotIn"))]
PodReplacementPolicy = Annotated[str, Enum(("Failed", "TerminatingOrFailed"))]


class PodFailurePolicyOnExitCodesRequirement(Struct):
    containerName: str | None = None
    operator: Annotated[PodFailurePolicyOnExitCodesOperator, Required()] = always(str)
    values: Annotated[list[Int32] | None, Required(), ListSet()] = null()


class PodFailurePolicyOnPodConditionsPattern(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Default("True")] = always(str)


class PodFailurePolicyRule(Struct):
    action: Annotated[PodFailurePolicyAction, Required()] = always(str)
    onExitCodes: PodFailurePolicyOnExitCodesRequirement | None = None
    onPodConditions: Annotated[list[PodFailurePolicyOnPodConditionsPattern], Atomic()] = []


class PodFailurePolicy(Struct):
    rules: Annotated[list[PodFailurePolicyRule] | None, Required(), Atomic()] = null()


class SuccessPolicyRule(Struct):
    succeededIndexes: str | None = None
    succeededCount: Int32 | None = None


class SuccessPolicy(Struct):
    rules: Annotated[list[SuccessPolicyRule] | None, Required(), Atomic()] = null()


class JobSpec(Struct):
    parallelism: Int32 | None = None
    completions: Int32 | None = None
    activeDeadlineSeconds: Int64 | None = None
    podFailurePolicy: PodFailurePolicy | None = None
    successPolicy: SuccessPolicy | None = None
    backoffLimit: Int32 | None = None
    backoffLimitPerIndex: Int32 | None = None
    maxFailedIndexes: Int32 | None = None
    selector: meta.LabelSelector | None = None
    manualSelector: bool | None = None
    template: Annotated[PodTemplateSpec, Required()] = always(PodTemplateSpec)
    ttlSecondsAfterFinished: Int32 | None = None
    completionMode: CompletionMode | None = None
    suspend: bool | None = None
    podReplacementPolicy: PodReplacementPolicy | None = None
    managedBy: str | None = None


class JobCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastProbeTime: Time | None = null()
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""


class UncountedTerminatedPods(Struct):
    succeeded: Annotated[list[str], ListSet()] = []
    failed: Annotated[list[str], ListSet()] = []


class JobStatus(Struct):
    conditions: Annotated[list[JobCondition], Atomic(), Merge("type")] = []
    startTime: Time | None = None
    completionTime: Time | None = None
    active: Int32 = 0
    succeeded: Int32 = 0
    failed: Int32 = 0
    terminating: Int32 | None = None
    completedIndexes: str = ""
    failedIndexes: str | None = None
    uncountedTerminatedPods: UncountedTerminatedPods | None = None
    ready: Int32 | None = None


class Job(Struct):
    kind: str = constant("Job")
    apiVersion: str = constant("batch/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: JobSpec = always(JobSpec)
    status: JobStatus = always(JobStatus)

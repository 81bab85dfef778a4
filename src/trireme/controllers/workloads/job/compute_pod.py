"""The pods of a Job: tracked by a finalizer, each with its completion index. Pure.

In: a Job, an index (None where it has none), the failed pod that is replaced. Out: a ``Pod`` to be
created. Called by ``reconcile``. Upstream: pkg/controller/job manageJob and indexed_job_utils.
"""

from __future__ import annotations

import msgspec

from trireme.api.batch.v1.job_types import Job
from trireme.api.core.v1.pod.container import Container, EnvVar, EnvVarSource
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.sources import ObjectFieldSelector
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.controllers.workloads import compute_pod
from trireme.controllers.workloads.job import compute_indexes

# A strategic merge patch that takes the finalizer away.
UNTRACK = {"metadata": {"$deleteFromPrimitiveList/finalizers": [compute_indexes.FINALIZER]}}
_VARIABLE = "JOB_COMPLETION_INDEX"
# A generated name is this plus five random characters.
_LONGEST_PREFIX = 58


def template_of(job: Job) -> PodTemplateSpec:
    """What all its pods have in common."""
    template = job.spec.template
    finalizers = template.metadata.finalizers
    if compute_indexes.FINALIZER not in finalizers:
        finalizers = [*finalizers, compute_indexes.FINALIZER]
    metadata = msgspec.structs.replace(template.metadata, finalizers=finalizers)
    spec = template.spec
    if compute_indexes.is_indexed(job):
        spec = msgspec.structs.replace(
            spec,
            containers=list(map(_with_index, spec.containers)),
            initContainers=list(map(_with_index, spec.initContainers)),
        )
    return msgspec.structs.replace(template, metadata=metadata, spec=spec)


def pod_of(job: Job, template: PodTemplateSpec, index: int | None, replaced: Pod | None) -> Pod:
    """A pod made from what ``template_of`` says."""
    pod = compute_pod.pod_of(job, template)
    if index is None:
        return pod
    metadata = pod.metadata
    metadata.annotations[compute_indexes.INDEX] = metadata.labels[compute_indexes.INDEX] = str(
        index
    )
    ending = f"-{index}-"
    metadata.generateName = job.metadata.name[: _LONGEST_PREFIX - len(ending)] + ending
    if job.spec.backoffLimitPerIndex is not None:
        counted, ignored = compute_indexes.failures_with(job, replaced)
        metadata.annotations[compute_indexes.FAILURES] = str(counted)
        if ignored:
            metadata.annotations[compute_indexes.IGNORED_FAILURES] = str(ignored)
    pod.spec = msgspec.structs.replace(pod.spec, hostname=f"{job.metadata.name}-{index}")
    return pod


def _with_index(container: Container) -> Container:
    if any(variable.name == _VARIABLE for variable in container.env):
        return container
    field = ObjectFieldSelector(fieldPath=f"metadata.labels['{compute_indexes.INDEX}']")
    variable = EnvVar(name=_VARIABLE, valueFrom=EnvVarSource(fieldRef=field))
    return msgspec.structs.replace(container, env=[*container.env, variable])

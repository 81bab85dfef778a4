"""Fields of a Pod that a write may not set, and what the server sets.

In: a new Pod, and on update the stored one. Out: the new one, changed in place. Called by: the
registry, after admission and before validation. Upstream: pkg/registry/core/pod strategy and
pkg/api/pod (fields of features that are off in v1.36 are dropped, unless the old object has them).
"""

from __future__ import annotations

from typing import Final

from trireme.api.core.v1.pod import defaults, qos
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.scheduling import PodAffinity, PodAffinityTerm, PodAntiAffinity
from trireme.api.core.v1.pod.security import AppArmorProfile, SecurityContext
from trireme.api.core.v1.pod.spec import PodSpec, every_container
from trireme.api.core.v1.pod.status import PodCondition, PodStatus
from trireme.machinery.meta import LabelSelector, LabelSelectorRequirement

APPARMOR_ANNOTATION: Final = "container.apparmor.security.beta.kubernetes.io/"
USE_APPARMOR: Final = 'deprecated since v1.30; use the "appArmorProfile" field instead'
_LOCALHOST: Final = "localhost/"


def create(new: Pod) -> list[str]:
    """A fresh status, and the parts of the spec that follow from labels and annotations.

    Returns warnings of annotations that fields have replaced.
    """
    spec = new.spec
    defaults.same_account(spec)
    new.status = PodStatus(phase="Pending", qosClass=qos.of(spec))
    drop_disabled(spec, None)
    if spec.schedulingGates:
        new.status.conditions = [
            PodCondition(
                type="PodScheduled",
                status="False",
                reason="SchedulingGated",
                message="Scheduling is blocked due to non-empty scheduling gates",
            )
        ]
    labels = new.metadata.labels
    if spec.affinity is not None:
        _merge_affinity_keys(spec.affinity.podAffinity, labels)
        _merge_affinity_keys(spec.affinity.podAntiAffinity, labels)
    for constraint in spec.topologySpreadConstraints:
        _merge_keys(constraint.labelSelector, constraint.matchLabelKeys, "In", labels)
    if new.metadata.annotations and (spec.os is None or spec.os.name != "windows"):
        return _apparmor_fields(new)
    return []


def update(new: Pod, old: Pod) -> None:
    """The main resource: the status was kept by the registry."""
    defaults.same_account(new.spec)
    drop_disabled(new.spec, old.spec)


def status(new: Pod, old: Pod) -> None:
    """A status write may leave out the QoS class and the observed generations."""
    new.status.qosClass = new.status.qosClass or old.status.qosClass
    new.status.observedGeneration = new.status.observedGeneration or old.status.observedGeneration
    # A list per type: validation permits several conditions of one type.
    conditions: dict[str, list[int]] = {}
    for condition in old.status.conditions:
        conditions.setdefault(condition.type, []).append(condition.observedGeneration)
    for condition in new.status.conditions:
        before = conditions.get(condition.type)
        generation = before.pop(0) if before else 0
        condition.observedGeneration = condition.observedGeneration or generation


def ephemeral_containers(new: Pod, old: Pod) -> None:
    """Only ``spec.ephemeralContainers`` is written."""
    containers = new.spec.ephemeralContainers
    _keep_metadata(new, old)
    new.spec, new.status = old.spec, old.status
    new.spec = _with(old.spec, ephemeralContainers=containers)
    drop_disabled(new.spec, old.spec)


def resize(new: Pod, old: Pod) -> None:
    """Only resources and resize policies of the containers are written, and the pod-level ones.

    Containers that were added, removed, renamed or reordered are left for validation to refuse.
    """
    spec, was = new.spec, old.spec
    counts = (len(spec.containers), len(spec.initContainers))
    if counts != (len(was.containers), len(was.initContainers)):
        return
    _keep_metadata(new, old)
    new.status = old.status
    new.spec = _with(
        was,
        resources=spec.resources,
        containers=_resized(spec.containers, was.containers),
        initContainers=_resized(spec.initContainers, was.initContainers),
    )
    drop_disabled(new.spec, old.spec)


def drop_disabled(spec: PodSpec, old: PodSpec | None) -> None:
    """Drops fields of features that are disabled in v1.36."""
    if spec.schedulingGroup is not None and (old is None or old.schedulingGroup is None):
        spec.schedulingGroup = None
    for volume in spec.volumes:
        if volume.projected is not None:
            for source in volume.projected.sources:
                if source.clusterTrustBundle and not _projects(old, "clusterTrustBundle"):
                    source.clusterTrustBundle = None
                if source.podCertificate and not _projects(old, "podCertificate"):
                    source.podCertificate = None
    for container in every_container(spec):
        lifecycle = container.lifecycle
        if lifecycle is not None and lifecycle.stopSignal and not _has_stop_signal(old):
            lifecycle.stopSignal = None
            if lifecycle.postStart is None and lifecycle.preStop is None:
                container.lifecycle = None


def _projects(spec: PodSpec | None, source: str) -> bool:
    return spec is not None and any(
        getattr(item, source) is not None
        for volume in spec.volumes
        if volume.projected is not None
        for item in volume.projected.sources
    )


def _has_stop_signal(spec: PodSpec | None) -> bool:
    return spec is not None and any(
        item.lifecycle is not None and item.lifecycle.stopSignal for item in every_container(spec)
    )


def _keep_metadata(new: Pod, old: Pod) -> None:
    """What writes of a part may not change: everything but annotations, labels, managed fields."""
    meta, was = new.metadata, old.metadata
    meta.deletionTimestamp = was.deletionTimestamp
    meta.deletionGracePeriodSeconds = was.deletionGracePeriodSeconds
    meta.labels, meta.annotations = was.labels, was.annotations
    meta.finalizers, meta.ownerReferences = was.finalizers, was.ownerReferences


def _with(spec: PodSpec, **changes: object) -> PodSpec:
    """A copy of ``spec``, one level deep, with other values for some fields."""
    values = {name: getattr(spec, name) for name in PodSpec.__struct_fields__}
    return PodSpec(**{**values, **changes})


def _resized(new: list[Container], old: list[Container]) -> list[Container]:
    if [item.name for item in new] != [item.name for item in old]:
        return new
    merged = []
    for item, was in zip(new, old, strict=True):
        values = {name: getattr(was, name) for name in Container.__struct_fields__}
        values |= {"resources": item.resources, "resizePolicy": item.resizePolicy}
        merged.append(Container(**values))
    return merged


def _merge_affinity_keys(
    affinity: PodAffinity | PodAntiAffinity | None, labels: dict[str, str]
) -> None:
    if affinity is None:
        return
    terms: list[PodAffinityTerm] = [
        item.podAffinityTerm for item in affinity.preferredDuringSchedulingIgnoredDuringExecution
    ]
    for term in (*terms, *affinity.requiredDuringSchedulingIgnoredDuringExecution):
        _merge_keys(term.labelSelector, term.matchLabelKeys, "In", labels)
        _merge_keys(term.labelSelector, term.mismatchLabelKeys, "NotIn", labels)


def _merge_keys(
    selector: LabelSelector | None, keys: list[str], operator: str, labels: dict[str, str]
) -> None:
    if selector is None:
        return
    for key in keys:
        if key in labels:
            selector.matchExpressions.append(
                LabelSelectorRequirement(key=key, operator=operator, values=[labels[key]])
            )


def _apparmor_fields(new: Pod) -> list[str]:
    """Copy the deprecated annotation to the field where the field says nothing."""
    warnings: list[str] = []
    annotations, spec = new.metadata.annotations, new.spec
    of_pod = spec.securityContext.appArmorProfile if spec.securityContext is not None else None
    for container in every_container(spec):
        key = APPARMOR_ANNOTATION + container.name
        text = annotations.get(key)
        if text is None:
            continue
        context = container.securityContext
        if context is not None and context.appArmorProfile is not None:
            continue
        profile = apparmor_profile(text)
        if profile is not None and profile == of_pod:
            continue
        warnings.append(f"metadata.annotations[{key}]: {USE_APPARMOR}")
        if profile is None:
            continue
        if context is None:
            context = container.securityContext = SecurityContext()
        context.appArmorProfile = profile
    return warnings


def apparmor_profile(annotation: str) -> AppArmorProfile | None:
    """The profile that an annotation's value stands for."""
    if annotation == "unconfined":
        return AppArmorProfile(type="Unconfined")
    if annotation == "runtime/default":
        return AppArmorProfile(type="RuntimeDefault")
    profile = annotation.removeprefix(_LOCALHOST)
    if annotation.startswith(_LOCALHOST) and profile and profile == profile.strip():
        return AppArmorProfile(type="Localhost", localhostProfile=profile)
    return None

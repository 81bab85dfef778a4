"""Rules of StatefulSets: the spec, its updates, its status.

In: typed objects. Out: field errors in upstream's order. Called by ``statefulset``. Upstream:
pkg/apis/apps/validation; https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from trireme.api import rules
from trireme.api.apps.v1 import counts
from trireme.api.apps.v1.statefulset_types import (
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetUpdateStrategy,
)
from trireme.api.core.v1 import claim_rules
from trireme.api.core.v1.pod.rules import template
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.api.core.v1.pod.volumes import PersistentVolumeClaimVolumeSource as ClaimSource
from trireme.api.core.v1.pod.volumes import Volume
from trireme.api.rules import Errors
from trireme.machinery import field, labels, names
from trireme.machinery.field import Path

_SPEC: Final = field.path("spec")
_POLICIES: Final = ("OrderedReady", "Parallel")
_RETENTION: Final = ("Retain", "Delete")
# What an update may change.
_MUTABLE: Final = (
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
)
_COUNTS: Final = (
    "replicas",
    "readyReplicas",
    "currentReplicas",
    "updatedReplicas",
    "availableReplicas",
    "observedGeneration",
    "collisionCount",
)
_PARTS: Final = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")


def validate(new: StatefulSet) -> Errors:
    """A new StatefulSet."""
    return _spec(new.spec, claims=True, service=True, pods=True)


def validate_update(new: StatefulSet, old: StatefulSet) -> Errors:
    """What cannot change is not validated again; of the rest only some fields may change."""
    sound = not _spec(old.spec, claims=False, service=False, pods=True)
    errs = _spec(new.spec, claims=False, service=False, pods=sound)
    kept = {name: getattr(old.spec, name) for name in _MUTABLE}
    if replace(new.spec, **kept) != old.spec:
        detail = (
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
            "'minReadySeconds' are forbidden"
        )
        errs.append(field.forbidden(_SPEC, detail))
    return errs


def validate_status(new: StatefulSet, old: StatefulSet) -> Errors:
    """Counts that go together."""
    errs: Errors = []
    status, at = new.status, field.path("status")
    for name in _COUNTS:
        rules.not_negative(errs, at, name, getattr(status, name) or 0)
    for name in _PARTS:
        count = getattr(status, name)
        if count > status.replicas:
            detail = "cannot be greater than status.replicas"
            errs.append(field.invalid(at.child(name), count, detail))
    if status.availableReplicas > status.readyReplicas:
        where, detail = at.child("availableReplicas"), "cannot be greater than status.readyReplicas"
        errs.append(field.invalid(where, status.availableReplicas, detail))
    counts.not_decremented(errs, status.collisionCount, old.status.collisionCount)
    return errs


def _spec(spec: StatefulSetSpec, *, claims: bool, service: bool, pods: bool) -> Errors:
    errs: Errors = []
    where = _SPEC.child("podManagementPolicy")
    if not spec.podManagementPolicy:
        errs.append(field.required(where))
    elif spec.podManagementPolicy not in _POLICIES:
        detail = "must be 'OrderedReady' or 'Parallel'"
        errs.append(field.invalid(where, spec.podManagementPolicy, detail))
    _strategy(errs, _SPEC.child("updateStrategy"), spec.updateStrategy)
    retention = spec.persistentVolumeClaimRetentionPolicy
    if retention is not None:
        here = _SPEC.child("persistentVolumeClaimRetentionPolicy")
        rules.one_of(errs, here, "whenDeleted", retention.whenDeleted, _RETENTION)
        rules.one_of(errs, here, "whenScaled", retention.whenScaled, _RETENTION)
    if claims:
        for position, claim in enumerate(spec.volumeClaimTemplates):
            here = _SPEC.child("volumeClaimTemplates").index(position)
            claim_rules.spec(errs, here.child("spec"), claim.spec)
    rules.not_negative(errs, _SPEC, "replicas", spec.replicas or 0)
    rules.not_negative(errs, _SPEC, "minReadySeconds", spec.minReadySeconds)
    if spec.ordinals is not None:
        rules.not_negative(errs, _SPEC, "ordinals.start", spec.ordinals.start)
    if service and spec.serviceName:
        rules.syntax(errs, _SPEC, "serviceName", spec.serviceName, names.is_dns1123_label)
    _selector(errs, spec, pods)
    template.always_restarts(errs, _SPEC.child("template"), spec.template, "StatefulSet")
    return errs


def _strategy(errs: Errors, at: Path, strategy: StatefulSetUpdateStrategy) -> None:
    rolling = strategy.rollingUpdate
    if not strategy.type:
        errs.append(field.required(at))
    elif strategy.type == "OnDelete":
        if rolling is not None:
            detail = "only allowed for updateStrategy 'RollingUpdate'"
            errs.append(field.invalid(at.child("rollingUpdate"), rolling, detail))
    elif strategy.type != "RollingUpdate":
        detail = "must be 'RollingUpdate' or 'OnDelete'"
        errs.append(field.invalid(at, strategy, detail))
    elif rolling is not None:
        _rolling(errs, at.child("rollingUpdate"), rolling)


def _rolling(errs: Errors, at: Path, rolling: RollingUpdateStatefulSetStrategy) -> None:
    rules.not_negative(errs, at, "partition", rolling.partition or 0)
    unavailable = rolling.maxUnavailable
    if unavailable is not None:
        rules.percentage_or_count(errs, at, "maxUnavailable", unavailable)
        if counts.is_zero(unavailable):
            errs.append(field.invalid(at.child("maxUnavailable"), unavailable, "cannot be 0"))
        rules.at_most_all(errs, at, "maxUnavailable", unavailable)


def _selector(errs: Errors, spec: StatefulSetSpec, pods: bool) -> None:
    at, selector = _SPEC.child("selector"), spec.selector
    if selector is None:
        errs.append(field.required(at))
    else:
        rules.label_selector(errs, at, selector)
        if not selector.matchLabels and not selector.matchExpressions:
            detail = "empty selector is invalid for statefulset"
            errs.append(field.invalid(at, selector, detail))
    try:
        parsed = labels.from_struct(selector)
    except ValueError:
        errs.append(field.invalid(at, selector, ""))
        return
    here, meta = _SPEC.child("template"), spec.template.metadata
    if not parsed.empty() and not parsed.matches(meta.labels):
        detail = "`selector` does not match template `labels`"
        errs.append(field.invalid(here.child("metadata", "labels"), meta.labels or None, detail))
    if pods:
        template.validate(errs, here, _with_claims(spec))
    rules.labels(errs, here.child("labels"), meta.labels)


def _with_claims(spec: StatefulSetSpec) -> PodTemplateSpec:
    """The template with what the controller gives each pod: its claims, no name of its own."""
    pod = spec.template.spec
    claims = {claim.metadata.name: claim for claim in spec.volumeClaimTemplates}
    volumes = [
        Volume(name=name, persistentVolumeClaim=ClaimSource(claimName=name)) for name in claims
    ]
    volumes += [volume for volume in pod.volumes if volume.name not in claims]
    changed = replace(pod, subdomain="", hostname="", volumes=volumes)
    return replace(spec.template, spec=changed)

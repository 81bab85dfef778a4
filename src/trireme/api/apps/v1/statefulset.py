"""StatefulSet: defaults, rules and columns; the types are in ``statefulset_types``."""

from __future__ import annotations

from trireme.api import columns
from trireme.api.apps.v1 import statefulset_rules as checks
from trireme.api.apps.v1.statefulset_types import (
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicy,
)
from trireme.api.autoscaling.v1.scale import Scale as ScaleObject
from trireme.api.core.v1 import persistentvolumeclaim as claims
from trireme.api.core.v1.pod import defaults as pod_defaults
from trireme.api.core.v1.pod import prepare as pod_prepare
from trireme.api.core.v1.pod import warnings as pod_warnings
from trireme.machinery import field, labels, names
from trireme.machinery.resource import (
    Column,
    Resource,
    Scale,
    Subresource,
    spec_changed,
    status,
)


def defaults(obj: StatefulSet) -> None:
    """A rolling update of all pods; claims are kept; those of the template and of the claims."""
    spec = obj.spec
    strategy = spec.updateStrategy
    if not strategy.type:
        strategy.type = "RollingUpdate"
        if strategy.rollingUpdate is None:
            strategy.rollingUpdate = RollingUpdateStatefulSetStrategy()
    rolling = strategy.rollingUpdate
    if strategy.type == "RollingUpdate" and rolling is not None and rolling.partition is None:
        rolling.partition = 0
    if spec.persistentVolumeClaimRetentionPolicy is None:
        spec.persistentVolumeClaimRetentionPolicy = StatefulSetPersistentVolumeClaimRetentionPolicy(
            whenDeleted="Retain", whenScaled="Retain"
        )
    pod_defaults.template(spec.template)


def prepare_create(new: StatefulSet) -> None:
    """Fields of features that are off are dropped."""
    rolling = new.spec.updateStrategy.rollingUpdate
    if rolling is not None:
        rolling.maxUnavailable = None
    pod_prepare.drop_disabled(new.spec.template.spec, None)


def prepare_update(new: StatefulSet, old: StatefulSet) -> None:
    """As on create, unless the old object has them."""
    rolling, was = new.spec.updateStrategy.rollingUpdate, old.spec.updateStrategy.rollingUpdate
    if rolling is not None and (was is None or was.maxUnavailable is None):
        rolling.maxUnavailable = None
    pod_prepare.drop_disabled(new.spec.template.spec, old.spec.template.spec)


def warnings(new: StatefulSet, old: StatefulSet | None) -> list[str]:
    """Those of the template and of the claims; a history that only grows."""
    found = []
    if pod_warnings.is_other(new, old):
        found += pod_warnings.template(pod_warnings.TEMPLATE, new.spec.template)
    for position, claim in enumerate(new.spec.volumeClaimTemplates):
        where = field.path("spec", "volumeClaimTemplates").index(position)
        # Upstream's path for updates, capital and all.
        found += claims.spec_warnings(where if old is None else where.child("Spec"), claim.spec)
    limit = new.spec.revisionHistoryLimit
    if limit is not None and limit < 0:
        found.append(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a "
            "value >= 0 is recommended"
        )
    return found


RESOURCE = Resource(
    type=StatefulSet,
    plural="statefulsets",
    short_names=("sts",),
    categories=("all",),
    subresources=(Subresource("scale", ("get", "patch", "update"), ScaleObject), status()),
    scale=Scale(
        selector=lambda obj: str(labels.from_struct(obj.spec.selector)),
        status_replicas=lambda obj: obj.status.replicas,
    ),
    name_errors=names.is_dns1123_label,
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    warnings=warnings,
    validate=checks.validate,
    validate_update=checks.validate_update,
    validate_status=checks.validate_status,
    generation=spec_changed,
    columns=(
        columns.NAME,
        Column(
            "Ready",
            lambda obj: f"{obj.status.readyReplicas}/{obj.spec.replicas or 0}",
            "How many of the wanted pods are ready.",
        ),
        columns.AGE,
        *columns.CONTAINERS,
    ),
)

"""Types of devicetaintrule: see the API reference, resource/v1beta2."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, metadata, rules
from trireme.api.resource.v1 import checks, taint_rules
from trireme.api.resource.v1.slice_types import DeviceTaint
from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.resource import Column, Resource, spec_changed, status
from trireme.machinery.types import Merge, Required, Struct, always, constant, listmap


class DeviceTaintSelector(Struct):
    driver: str | None = None
    pool: str | None = None
    device: str | None = None


class DeviceTaintRuleSpec(Struct):
    deviceSelector: DeviceTaintSelector | None = None
    taint: Annotated[DeviceTaint, Required()] = always(DeviceTaint)


class DeviceTaintRuleStatus(Struct):
    conditions: Annotated[list[meta.Condition], listmap("type"), Merge("type")] = []


class DeviceTaintRule(Struct):
    kind: str = constant("DeviceTaintRule")
    apiVersion: str = constant("resource.k8s.io/v1beta2")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[DeviceTaintRuleSpec, Required()] = always(DeviceTaintRuleSpec)
    status: DeviceTaintRuleStatus = always(DeviceTaintRuleStatus)


_MOST_CONDITIONS = 8


def set_timestamps(new: DeviceTaintRule, old: DeviceTaintRule | None, now: str) -> None:
    """Sets timeAdded where it is missing, or when the effect changes."""
    taint = new.spec.taint
    if old is not None:
        before = old.spec.taint
        if taint.effect != before.effect and taint.timeAdded == before.timeAdded:
            taint.timeAdded = now
    taint.timeAdded = taint.timeAdded or now


def validate(new: DeviceTaintRule) -> Errors:
    """Which devices get which taint."""
    return _spec(new, None)


def validate_update(new: DeviceTaintRule, old: DeviceTaintRule) -> Errors:
    """As on create; an effect that stays is not validated again."""
    return _spec(new, old)


def _spec(new: DeviceTaintRule, old: DeviceTaintRule | None) -> Errors:
    errs: Errors = []
    at, selector = field.path("spec"), new.spec.deviceSelector
    if selector is not None:
        where = at.child("deviceSelector")
        if selector.driver is not None:
            checks.driver(errs, where.child("driver"), selector.driver)
        if selector.pool is not None:
            checks.pool(errs, where.child("pool"), selector.pool)
        if selector.device is not None:
            checks.label(errs, where.child("device"), selector.device)
    before = None if old is None else old.spec.taint
    taint_rules.taint(errs, at.child("taint"), new.spec.taint, before)
    return errs


def validate_status(new: DeviceTaintRule, _old: DeviceTaintRule) -> Errors:
    """At most eight conditions."""
    errs: Errors = []
    at, conditions = field.path("status", "conditions"), new.status.conditions
    rules.conditions(errs, at, conditions)
    if len(conditions) > _MOST_CONDITIONS:
        errs.append(field.too_many(at, len(conditions), _MOST_CONDITIONS))
    return errs


RESOURCE = Resource(
    type=DeviceTaintRule,
    plural="devicetaintrules",
    namespaced=False,
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    set_timestamps=set_timestamps,
    validate=validate,
    validate_update=validate_update,
    prepare_status=metadata.prepare_status,
    validate_status=validate_status,
    generation=spec_changed,
    returns_deleted=True,
    default_on=False,
    columns=(
        columns.NAME,
        Column("Key", "spec.taint.key", "The taint's key."),
        Column("Value", "spec.taint.value", "The taint's value."),
        Column("Effect", "spec.taint.effect", "What the taint does to claims and pods."),
        Column(
            "TimeAdded",
            columns.ago("spec.taint.timeAdded", ""),
            "Since when devices have the taint.",
        ),
        columns.AGE,
    ),
)

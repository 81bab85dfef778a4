"""Types of event: see the API reference, events.k8s.io/v1. Stored as core/v1's Event.

What is written in this version is validated more strictly than in core/v1. Upstream:
pkg/apis/events/v1, pkg/apis/core/validation/events.go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from trireme.api import rules
from trireme.api.core.v1 import event as core
from trireme.api.core.v1.references import ObjectReference
from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.resource import Conversion, Resource
from trireme.machinery.types import Int32, MicroTime, Required, Struct, Time, always, constant, null


class EventSeries(Struct):
    count: Annotated[Int32, Required()] = always(int)
    lastObservedTime: Annotated[MicroTime | None, Required()] = null()


class Event(Struct):
    kind: str = constant("Event")
    apiVersion: str = constant("events.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    eventTime: Annotated[MicroTime | None, Required()] = null()
    series: EventSeries | None = None
    reportingController: str = ""
    reportingInstance: str = ""
    action: str = ""
    reason: str = ""
    regarding: ObjectReference = always(ObjectReference)
    related: ObjectReference | None = None
    note: str = ""
    type: str = ""
    deprecatedSource: core.EventSource = always(core.EventSource)
    deprecatedFirstTimestamp: Time | None = null()
    deprecatedLastTimestamp: Time | None = null()
    deprecatedCount: Int32 = 0


def to_core(obj: Event) -> core.Event:
    """The stored form."""
    series = obj.series
    return core.Event(
        metadata=obj.metadata,
        involvedObject=obj.regarding,
        reason=obj.reason,
        message=obj.note,
        source=obj.deprecatedSource,
        firstTimestamp=obj.deprecatedFirstTimestamp,
        lastTimestamp=obj.deprecatedLastTimestamp,
        count=obj.deprecatedCount,
        type=obj.type,
        eventTime=obj.eventTime,
        series=None
        if series is None
        else core.EventSeries(count=series.count, lastObservedTime=series.lastObservedTime),
        action=obj.action,
        related=obj.related,
        reportingComponent=obj.reportingController,
        reportingInstance=obj.reportingInstance,
    )


def from_core(obj: core.Event) -> Event:
    """The form of this version."""
    series = obj.series
    return Event(
        metadata=obj.metadata,
        eventTime=obj.eventTime,
        series=None
        if series is None
        else EventSeries(count=series.count, lastObservedTime=series.lastObservedTime),
        reportingController=obj.reportingComponent,
        reportingInstance=obj.reportingInstance,
        action=obj.action,
        reason=obj.reason,
        regarding=obj.involvedObject,
        related=obj.related,
        note=obj.message,
        type=obj.type,
        deprecatedSource=obj.source,
        deprecatedFirstTimestamp=obj.firstTimestamp,
        deprecatedLastTimestamp=obj.lastTimestamp,
        deprecatedCount=obj.count,
    )


_CONTROLLER = "reportingController"
# What does not change once an event is there: (path, the stored attribute).
_FIXED = (
    ("involvedObject", "involvedObject"),
    ("reason", "reason"),
    ("message", "message"),
    ("source", "source"),
    ("firstTimestamp", "firstTimestamp"),
    ("lastTimestamp", "lastTimestamp"),
    ("count", "count"),
    ("reason", "reason"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("related", "related"),
    (_CONTROLLER, "reportingComponent"),
    ("reportingInstance", "reportingInstance"),
)


def validate(new: core.Event) -> Errors:
    """Core's rules; a time and a known type are set, and no deprecated field."""
    errs = core.legacy(new, _CONTROLLER)
    _series(errs, new.series)
    rules.required(errs, field.path(), "eventTime", new.eventTime or "")
    if new.type not in ("Normal", "Warning"):
        errs.append(field.invalid(field.path("type"), "", f"has invalid value: {new.type}"))
    source = new.source
    for name, there in (
        ("firstTimestamp", new.firstTimestamp),
        ("lastTimestamp", new.lastTimestamp),
        ("count", new.count),
        ("source", source.component or source.host),
    ):
        if there:
            errs.append(field.invalid(field.path(name), "", "needs to be unset"))
    return errs


def validate_update(new: core.Event, old: core.Event) -> Errors:
    """Only the series changes."""
    errs = core.legacy(new, _CONTROLLER)
    if new.series != old.series:
        _series(errs, new.series)
    for name, attribute in _FIXED:
        now, before = getattr(new, attribute), getattr(old, attribute)
        if now != before:
            errs.append(field.invalid(field.path(name), now, "field is immutable"))
    return errs


def _series(errs: Errors, series: core.EventSeries | None) -> None:
    if series is None:
        return
    if series.count < 2:
        errs.append(field.invalid(field.path("series.count"), "", "should be at least 2"))
    rules.required(errs, field.path(), "series.lastObservedTime", series.lastObservedTime or "")


def _regarding(name: str) -> tuple[str, Any]:
    return f"regarding.{name}", lambda obj: getattr(obj.regarding, name)


RESOURCE = Resource(
    type=Event,
    plural="events",
    short_names=("ev",),
    create_on_update=True,
    collected=False,
    ttl=core.TTL,
    columns=core.RESOURCE.columns,
    printed=to_core,
    selectable={
        **dict(_regarding(name) for name in ObjectReference.__struct_fields__),
        "reason": lambda obj: obj.reason,
        _CONTROLLER: lambda obj: obj.reportingController,
        "type": lambda obj: obj.type,
    },
    stored_as=Conversion(
        stored=replace(core.RESOURCE, validate=validate, validate_update=validate_update),
        to_stored=to_core,
        from_stored=from_core,
        field_labels={
            **{f"regarding.{n}": f"involvedObject.{n}" for n in ObjectReference.__struct_fields__},
            _CONTROLLER: "reportingComponent",
        },
    ),
)

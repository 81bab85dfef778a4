"""Types of event: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.core.v1.references import ObjectReference
from trireme.machinery import meta
from trireme.machinery.resource import Resource
from trireme.machinery.types import Int32, MicroTime, Required, Struct, Time, always, constant


class EventSeries(Struct):
    count: Int32 = 0
    lastObservedTime: MicroTime | None = None


class EventSource(Struct):
    component: str = ""
    host: str = ""


class Event(Struct):
    kind: str = constant("Event")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    involvedObject: Annotated[ObjectReference, Required()] = always(ObjectReference)
    reason: str = ""
    message: str = ""
    source: EventSource = always(EventSource)
    firstTimestamp: Time | None = None
    lastTimestamp: Time | None = None
    count: Int32 = 0
    type: str = ""
    eventTime: MicroTime | None = None
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reportingComponent: str = always(str)
    reportingInstance: str = always(str)


RESOURCE = Resource(
    type=Event,
    plural="events",
    short_names=("ev",),
)

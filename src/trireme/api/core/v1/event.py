"""Types of event: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated, Any, Final

from trireme.api import columns, rules
from trireme.api.core.v1.references import ObjectReference
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.resource import Column, Resource, Timed
from trireme.machinery.types import Int32, MicroTime, Required, Struct, Time, always, constant, null


class EventSeries(Struct):
    count: Int32 = 0
    lastObservedTime: MicroTime | None = null()


class EventSource(Struct):
    component: str = ""
    host: str = ""


class Event(Struct):
    kind: str = constant("Event")
    apiVersion: str = constant("v1")
    metadata: Annotated[meta.ObjectMeta, Required()] = always(meta.ObjectMeta)
    involvedObject: Annotated[ObjectReference, Required()] = always(ObjectReference)
    reason: str = ""
    message: str = ""
    source: EventSource = always(EventSource)
    firstTimestamp: Time | None = null()
    lastTimestamp: Time | None = null()
    count: Int32 = 0
    type: str = ""
    eventTime: MicroTime | None = null()
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reportingComponent: str = always(str)
    reportingInstance: str = always(str)


TTL: Final = 3600
_MAX_SHORT: Final = 128
_MAX_MESSAGE: Final = 1024


def validate(new: Event) -> Errors:
    """The event's namespace is that of its object; events of the newer form name reporter and
    action."""
    return legacy(new, "reportingComponent")


def legacy(new: Event, controller: str) -> Errors:
    """The rules of every version; ``controller`` is how the version names reportingComponent."""
    errs: Errors = []
    namespace, about = new.metadata.namespace, new.involvedObject.namespace
    if new.eventTime is None:
        matches = about == namespace if about else namespace in ("", "default")
    else:
        # Events of the newer form about a cluster's objects may also be in kube-system.
        matches = bool(about) or namespace in ("default", "kube-system")
        _newer(errs, new, controller)
    if not matches:
        detail = "does not match event.namespace"
        errs.insert(0, field.invalid(field.path("involvedObject", "namespace"), about, detail))
    rules.syntax(errs, field.path(), "namespace", namespace, names.is_dns1123_subdomain)
    return errs


def _newer(errs: Errors, new: Event, controller: str) -> None:
    root = field.path()
    component = new.reportingComponent
    rules.required(errs, root, controller, component)
    rules.syntax(errs, root, controller, component, names.is_qualified_name)
    for name in ("reportingInstance", "action", "reason"):
        text = getattr(new, name)
        rules.required(errs, root, name, text)
        _at_most(errs, name, text, _MAX_SHORT)
    _at_most(errs, "message", new.message, _MAX_MESSAGE)


def _at_most(errs: Errors, name: str, text: str, limit: int) -> None:
    if len(text.encode()) > limit:
        errs.append(field.invalid(field.path(name), "", f"can have at most {limit} characters"))


def _involved(name: str) -> tuple[str, Any]:
    return f"involvedObject.{name}", lambda obj: getattr(obj.involvedObject, name)


def _first_seen(obj: Event, now: float) -> str:
    if obj.firstTimestamp:
        return columns.since(obj.firstTimestamp, now)
    return columns.since_micro(obj.eventTime, now)


def _last_seen(obj: Event, now: float) -> str:
    if obj.series is not None:
        return columns.since_micro(obj.series.lastObservedTime, now)
    return columns.since(obj.lastTimestamp, now) if obj.lastTimestamp else _first_seen(obj, now)


def _object(obj: Event) -> str:
    involved, kind = obj.involvedObject, obj.involvedObject.kind.lower()
    return f"{kind}/{involved.name}" if involved.name else kind


def _source(obj: Event) -> str:
    component = obj.source.component or obj.reportingComponent
    instance = obj.source.host or obj.reportingInstance
    return f"{component}, {instance}" if instance else component


def _count(obj: Event) -> int:
    return obj.series.count if obj.series is not None else obj.count or 1


RESOURCE = Resource(
    type=Event,
    plural="events",
    name_errors=lambda _name: [],
    short_names=("ev",),
    validate=validate,
    create_on_update=True,
    collected=False,
    ttl=TTL,
    columns=(
        Column("Last Seen", Timed(_last_seen), "How long ago it happened last."),
        Column("Type", "type", "Normal or Warning."),
        Column("Reason", "reason", "Why it happened, in one word for programs."),
        Column("Object", _object, "What it happened to."),
        Column(
            "Subobject",
            "involvedObject.fieldPath",
            "The part of the object, as a field path.",
            priority=1,
        ),
        Column("Source", _source, "Who reports it.", priority=1),
        Column("Message", lambda obj: obj.message.strip(), "What happened, for people."),
        Column("First Seen", Timed(_first_seen), "How long ago it happened first.", priority=1),
        Column("Count", _count, "How often it happened.", priority=1),
        Column("Name", "metadata.name", "The event's own name.", format="name", priority=1),
    ),
    selectable={
        **dict(_involved(name) for name in ObjectReference.__struct_fields__),
        "reason": lambda obj: obj.reason,
        "reportingComponent": lambda obj: obj.reportingComponent,
        "source": lambda obj: obj.source.component or obj.reportingComponent,
        "type": lambda obj: obj.type,
    },
)

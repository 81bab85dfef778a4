"""What a kind is: one ``Resource`` value in the kind's own file says all of its behaviour.

    RESOURCE = Resource(type=Deployment, plural="deployments", short_names=("deploy",), ...)

``apiserver`` reads these values (found by folder with ``kit/catalog``) and serves every kind by the
same path; the CLI and static pods use the same rules. All functions here are pure: they get typed
objects and return errors or change the object that they are given; time is an argument. Behaviour
that needs other objects is an admission plugin, an allocator or a subresource of the API server.

Upstream: a kind's "strategy" in pkg/registry, its printer and its validation in pkg/apis.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from trireme.machinery import names
from trireme.machinery.field import FieldError

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


Errors = list[FieldError]


@dataclass(frozen=True, slots=True)
class Timed:
    """A cell that depends on the time now, in epoch seconds."""

    cell: Callable[[Any, float], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the server-side table, and the cell that an object has in it.

    ``cell`` is the path of an attribute (``spec.nodeName``), a function of the object, or
    ``Timed``. ``unset`` is printed in place of None, ``empty`` in place of None and "".
    ``priority`` 1: only with ``-o wide``. A column without a ``name`` has cells, but no definition.
    """

    name: str
    cell: str | Callable[[Any], Any] | Timed
    description: str = ""
    type: str = "string"
    format: str = ""
    priority: int = 0
    unset: Any = None
    empty: Any = None


# Of kinds that name none of their own (rest.NewDefaultTableConvertor).
_DEFAULT_COLUMNS = (
    Column("Name", "metadata.name", "Name must be unique within a namespace.", format="name"),
    Column(
        "Created At",
        "metadata.creationTimestamp",
        "When the object was created, as RFC 3339 text in UTC.",
        type="date",
    ),
)


@dataclass(frozen=True, slots=True)
class Subresource:
    """A path below an object. ``type`` is the struct that it reads and writes; ``kind`` names what
    is no struct (options that come in the query); by default it is the resource's own kind.

    ``status`` and ``scale`` are served by the generic path, and so is one with a ``prepare``: it
    writes a part of the object, by rules of its own in place of the kind's. Every other one has a
    handler in ``apiserver/subresources``, found by (plural, name).
    """

    name: str
    verbs: tuple[str, ...]
    type: type | None = None
    kind: str = ""
    # (new, old): undo in ``new`` all that this subresource does not write.
    prepare: Callable[[Any, Any], None] | None = None
    # (new, old) -> errors, in place of ``validate_update``.
    validate: Callable[[Any, Any], Errors] | None = None


def status() -> Subresource:
    """The status subresource.

    It implies two resets: writes to the main resource keep the stored ``status``, writes to
    ``/status`` keep everything but ``status`` (and the metadata that clients may set).
    """
    return Subresource("status", ("get", "patch", "update"))


@dataclass(frozen=True, slots=True)
class Scale:
    """How a kind maps to ``autoscaling/v1`` Scale.

    ``selector`` gives the label selector of the kind's pods in its string form.
    """

    selector: Callable[[Any], str]
    status_replicas: Callable[[Any], int]
    spec_replicas: Callable[[Any], int | None] = lambda obj: obj.spec.replicas
    set_replicas: Callable[[Any, int], None] = lambda obj, value: setattr(
        obj.spec, "replicas", value
    )
    # Where the replicas stand, as managedFields write it.
    path: tuple[str, ...] = ("f:spec", "f:replicas")
    # The place that must hold replicas (custom kinds); "": absent replicas count as none.
    required: str = ""


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a version that is not stored becomes the stored one and back.

    ``stored`` is the kind's stored version, whose rules validate every write. Both functions are
    pure, own the object they are given and may use its parts. ``field_labels`` maps this version's
    field labels to those of the stored one where they differ.
    """

    stored: Resource
    to_stored: Callable[[Any], Any]
    from_stored: Callable[[Any], Any]
    field_labels: Mapping[str, str] = field(default_factory=dict)


def _no_errors(_new: Any) -> Errors:
    return []


def _no_update_errors(_new: Any, _old: Any) -> Errors:
    return []


def _no_warnings(_new: Any, _old: Any) -> list[str]:
    return []


def _nothing(_obj: Any) -> None:
    return None


def _nothing_with_old(_new: Any, _old: Any) -> None:
    return None


def _never(_obj: Any) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A kind: its names, its rules and how it is printed.

    The write path calls, in this order: ``defaults`` (after the ``Default`` markers; on create,
    update and patch), the admission plugins, ``set_timestamps``, then ``prepare_create(new)`` or
    ``prepare_update(new, old)`` (reset what clients may not set), ``validate(new)`` on create, or
    ``validate_update(new, old)`` (which itself calls ``validate`` where upstream does; without one
    ``validate`` holds). Generic metadata rules are the API server's own.
    """

    type: type
    plural: str
    singular: str = ""
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    subresources: tuple[Subresource, ...] = ()
    scale: Scale | None = None

    defaults: Callable[[Any], None] = _nothing
    # (new, old or None, now as RFC 3339): times that a write sets which the client left out.
    set_timestamps: Callable[[Any, Any, str], None] | None = None
    # (new) -> warnings about deprecated forms that it replaces, if any.
    prepare_create: Callable[[Any], list[str] | None] = _nothing
    prepare_update: Callable[[Any, Any], None] = _nothing_with_old
    validate: Callable[[Any], Errors] = _no_errors
    # Errors of an update; None: those of ``validate``.
    validate_update: Callable[[Any, Any], Errors] | None = None
    prepare_status: Callable[[Any, Any], None] = _nothing_with_old
    # (new, old or None) -> warnings for the client (``Warning: 299``).
    warnings: Callable[[Any, Any], list[str]] = _no_warnings
    # The same of a write of the status.
    status_warnings: Callable[[Any, Any], list[str]] = _no_warnings
    validate_status: Callable[[Any, Any], Errors] = _no_update_errors

    # The syntax of metadata.name; messages, none where it is fine.
    name_errors: Callable[[str], list[str]] = names.is_dns1123_subdomain
    unconditional_update: bool = True
    create_on_update: bool = False
    # Kinds whose metadata.generation counts changes: does ``new`` differ from ``old`` in what it
    # counts? None: the kind keeps no generation.
    generation: Callable[[Any, Any], bool] | None = None
    # Upstream keeps what the client sent in ``status`` when it creates (nodes).
    status_on_create: bool = False
    # Seconds of grace for a deletion, from (object, the grace the client asked for or None).
    # None: the kind is deleted at once.
    grace: Callable[[Any, int | None], int] | None = None
    # Called on the object when a deletion begins that does not end at once.
    begin_delete: Callable[[Any], None] = _nothing
    # Is deletion held by more than ``metadata.finalizers``? (namespaces)
    held: Callable[[Any], bool] = _never
    # Finalizers without a domain must be Kubernetes' own (all kinds but custom ones).
    short_finalizers: bool = True
    # Whether deletion may set the garbage collector's finalizers (all kinds but events).
    collected: bool = True
    # propagationPolicy when the client names none.
    default_orphan: bool = False
    # The warning of a deletion without a propagation policy.
    orphan_warning: str = ""
    # DELETE answers with the object instead of a Status.
    returns_deleted: bool = False

    # Fields that a write never sets, by subresource ("" for the main one), as dotted paths: the
    # writer does not come to own them. Without an entry: the status, and for /status the spec.
    reset_fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    # The version that is stored, for one that is another form of it.
    stored_as: Conversion | None = None
    # The feature gate that this version or kind waits for; "" for none.
    gate: str = ""
    # Whether it is served when --runtime-config says nothing about it (beta and alpha: no).
    default_on: bool = True

    columns: tuple[Column, ...] = _DEFAULT_COLUMNS
    # What the columns' cells are read from; by default the object itself.
    printed: Callable[[Any], Any] | None = None
    # Conditions of a row, such as Completed for pods.
    row_conditions: Callable[[Any], list[dict[str, str]]] | None = None
    # Field labels beyond metadata.name and metadata.namespace.
    selectable: Mapping[str, Callable[[Any], str]] = field(default_factory=dict)
    # The error for any other field label.
    label_refusal: str = "field label not supported"
    # Those of them that the watch cache indexes.
    indexed: tuple[str, ...] = ()
    # Since when a kind is deprecated, until when it is there, what to use: all requests are warned.
    deprecated: str = ""
    # Seconds until the stored object expires by itself (events).
    ttl: int = 0

    @cached_property
    def _identity(self) -> Any:
        return self.type()

    @cached_property
    def kind(self) -> str:
        kind: str = self._identity.kind
        return kind

    @cached_property
    def api_version(self) -> str:
        api_version: str = self._identity.apiVersion
        return api_version

    @cached_property
    def group(self) -> str:
        group, slash, _ = self.api_version.partition("/")
        return group if slash else ""

    @cached_property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    @cached_property
    def group_resource(self) -> str:
        """``deployments.apps``, ``pods``: how messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def group_kind(self) -> str:
        """``Deployment.apps``, ``Pod``: how validation errors name the kind."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def removed_release(self) -> str:
        """The release that has a deprecated kind no more ("1.40"); "" where that is not said."""
        return self.deprecated.partition("unavailable in v")[2].partition("+")[0]

    @cached_property
    def deprecation_warning(self) -> str:
        """The warning of every request for a deprecated kind; "" for all others."""
        since = self.deprecated
        return since and f"{self.api_version} {self.kind} is deprecated in {since}"

    @cached_property
    def singular_name(self) -> str:
        return self.singular or self.kind.lower()

    @cached_property
    def has_status(self) -> bool:
        return self.subresource("status") is not None

    def row(self, obj: Any, now: float) -> list[Any]:
        """The cells of an object at the time ``now`` (epoch seconds)."""
        printed = obj if self.printed is None else self.printed(obj)
        cells = []
        for get, timed, unset, empty in self._cells:
            value = get(printed, now) if timed else get(printed)
            if value is None:
                value = empty if unset is None else unset
            elif value == "" and empty is not None:
                value = empty
            cells.append(value)
        return cells

    @cached_property
    def _cells(self) -> list[tuple[Callable[..., Any], bool, Any, Any]]:
        """How each column's cell is read, whether it needs the time, ``unset`` and ``empty``."""
        found: list[tuple[Callable[..., Any], bool, Any, Any]] = []
        for column in self.columns:
            cell = column.cell
            timed = isinstance(cell, Timed)
            get: Callable[..., Any]
            if isinstance(cell, Timed):
                get = cell.cell
            else:
                get = operator.attrgetter(cell) if isinstance(cell, str) else cell
            found.append((get, timed, column.unset, column.empty))
        return found

    def update_errors(self, new: Any, old: Any) -> Errors:
        """Errors of an update of ``old`` to ``new``."""
        if self.validate_update is None:
            return self.validate(new)
        return self.validate_update(new, old)

    def subresource(self, name: str) -> Subresource | None:
        return next((item for item in self.subresources if item.name == name), None)


def spec_changed(new: Any, old: Any) -> bool:
    """The usual generation rule: the spec differs."""
    return bool(new.spec != old.spec)


def alias(stored: Resource, type_: type, **changes: Any) -> Resource:
    """A version that differs from the one in which the kind is stored by its name only.

    ``changes`` are what else its ``Resource`` says; by default it is not served unless asked for.
    """
    conversion = Conversion(stored, _renamed(stored.type), _renamed(type_))
    return replace(stored, type=type_, stored_as=conversion, **{"default_on": False, **changes})


def _renamed(type_: Any) -> Callable[[Any], Any]:
    """From an object of another version to one of ``type_``; the fields are the same."""
    fields = [name for name in type_.__struct_fields__ if name not in ("kind", "apiVersion")]

    def rename(obj: Any) -> Any:
        return type_(**{name: getattr(obj, name) for name in fields})

    return rename

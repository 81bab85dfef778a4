"""Types of csidriver: see the API reference, storage/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource, spec_changed
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int64,
    ListSet,
    Required,
    Struct,
    always,
    constant,
)

FSGroupPolicy = Annotated[str, Enum(("File", "None", "ReadWriteOnceWithFSType"))]


class TokenRequest(Struct):
    audience: Annotated[str, Required()] = always(str)
    expirationSeconds: Int64 | None = None


class CSIDriverSpec(Struct):
    attachRequired: Annotated[bool | None, Default(True)] = None
    podInfoOnMount: Annotated[bool | None, Default(False)] = None
    volumeLifecycleModes: Annotated[list[str], ListSet()] = []
    storageCapacity: Annotated[bool | None, Default(False)] = None
    fsGroupPolicy: Annotated[FSGroupPolicy | None, Default("ReadWriteOnceWithFSType")] = None
    tokenRequests: Annotated[list[TokenRequest], Atomic()] = []
    requiresRepublish: Annotated[bool | None, Default(False)] = None
    seLinuxMount: Annotated[bool | None, Default(False)] = None
    nodeAllocatableUpdatePeriodSeconds: Int64 | None = None
    serviceAccountTokenInSecrets: bool | None = None
    preventPodSchedulingIfMissing: bool | None = None


class CSIDriver(Struct):
    kind: str = constant("CSIDriver")
    apiVersion: str = constant("storage.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[CSIDriverSpec, Required()] = always(CSIDriverSpec)


_MODES = ("Persistent", "Ephemeral")
_SHORTEST_TOKEN, _LONGEST_TOKEN = 600, 1 << 32
_LEAST_PERIOD = 10
TOKENS_WARNING = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to "
    "prevent possible logging of tokens in volume attributes"
)


def defaults(obj: CSIDriver) -> None:
    """The lifecycle mode Persistent."""
    obj.spec.volumeLifecycleModes = obj.spec.volumeLifecycleModes or ["Persistent"]


def prepare_create(new: CSIDriver) -> None:
    """Generation starts at 0; fields of disabled features are dropped."""
    new.metadata.generation = 0
    new.spec.preventPodSchedulingIfMissing = None


def prepare_update(new: CSIDriver, old: CSIDriver) -> None:
    """As on create, unless the old object has them."""
    if old.spec.preventPodSchedulingIfMissing is None:
        new.spec.preventPodSchedulingIfMissing = None


def validate(new: CSIDriver) -> Errors:
    """The spec as a whole."""
    errs: Errors = []
    spec, at = new.spec, field.path("spec")
    # Upstream's name for the first of them differs from the field's.
    for name, where in (
        ("attachRequired", "attachedRequired"),
        ("podInfoOnMount", "podInfoOnMount"),
        ("storageCapacity", "storageCapacity"),
    ):
        if getattr(spec, name) is None:
            errs.append(field.required(at.child(where)))
    rules.declared(errs, at, spec, "fsGroupPolicy")
    _tokens(errs, at.child("tokenRequests"), spec.tokenRequests)
    for mode in spec.volumeLifecycleModes:
        rules.one_of(errs, at, "volumeLifecycleModes", mode, _MODES)
    if spec.seLinuxMount is None:
        errs.append(field.required(at.child("seLinuxMount")))
    period = spec.nodeAllocatableUpdatePeriodSeconds
    if period is not None and period < _LEAST_PERIOD:
        detail = "must be greater than or equal to 10 seconds"
        errs.append(field.invalid(at.child("nodeAllocatableUpdatePeriodSeconds"), period, detail))
    if spec.serviceAccountTokenInSecrets is not None and not spec.tokenRequests:
        detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        where_ = at.child("serviceAccountTokenInSecrets")
        errs.append(field.invalid(where_, spec.serviceAccountTokenInSecrets, detail))
    return errs


def _tokens(errs: Errors, at: Path, items: list[TokenRequest]) -> None:
    used: set[str] = set()
    for position, item in enumerate(items):
        here = at.index(position)
        if item.audience in used:
            errs.append(field.duplicate(here.child("audience"), item.audience))
            continue
        used.add(item.audience)
        seconds, where = item.expirationSeconds, here.child("expirationSeconds")
        if seconds is None:
            continue
        if seconds < _SHORTEST_TOKEN:
            detail = "may not specify a duration less than 10 minutes"
            errs.append(field.invalid(where, seconds, detail))
        if seconds > _LONGEST_TOKEN:
            detail = "may not specify a duration larger than 2^32 seconds"
            errs.append(field.invalid(where, seconds, detail))


def validate_update(new: CSIDriver, old: CSIDriver) -> Errors:
    """attachRequired and volumeLifecycleModes stay."""
    errs = validate(new)
    at, spec, was = field.path("spec"), new.spec, old.spec
    rules.unchanged(errs, at, "attachedRequired", spec.attachRequired, was.attachRequired)
    modes = spec.volumeLifecycleModes
    rules.unchanged(errs, at, "volumeLifecycleModes", modes, was.volumeLifecycleModes)
    return errs


def warnings(new: CSIDriver, old: CSIDriver | None) -> list[str]:
    """Tokens passed in the volume context instead of in secrets."""
    spec = new.spec
    if not spec.tokenRequests or spec.serviceAccountTokenInSecrets is not None:
        return []
    if old is not None and old.spec.tokenRequests == spec.tokenRequests:
        return []
    return [TOKENS_WARNING]


RESOURCE = Resource(
    type=CSIDriver,
    plural="csidrivers",
    namespaced=False,
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    warnings=warnings,
    validate=validate,
    validate_update=validate_update,
    unconditional_update=False,
    generation=spec_changed,
    returns_deleted=True,
    columns=(
        columns.NAME,
        Column(
            "AttachRequired",
            lambda obj: obj.spec.attachRequired is not False,
            "Whether volumes are attached to nodes.",
            type="boolean",
        ),
        Column(
            "PodInfoOnMount",
            "spec.podInfoOnMount",
            "Whether it is told which pod mounts.",
            type="boolean",
            unset=False,
        ),
        Column(
            "StorageCapacity",
            "spec.storageCapacity",
            "Whether it reports its capacity.",
            type="boolean",
            unset=False,
        ),
        Column(
            "TokenRequests",
            lambda obj: (
                ",".join(item.audience for item in obj.spec.tokenRequests)
                if obj.spec.tokenRequests
                else columns.UNSET
            ),
            "The audiences of the tokens that it gets.",
        ),
        Column(
            "RequiresRepublish",
            "spec.requiresRepublish",
            "Whether it is called again and again.",
            type="boolean",
            unset=False,
        ),
        Column(
            "Modes",
            lambda obj: ",".join(obj.spec.volumeLifecycleModes) or columns.NONE,
            "The lives that its volumes may have.",
        ),
        columns.AGE,
    ),
)

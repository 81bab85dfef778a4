"""Types of lease: see the API reference, coordination/v1."""

from __future__ import annotations

from trireme.api import columns, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Int32, MicroTime, Struct, always, constant


class LeaseSpec(Struct):
    holderIdentity: str | None = None
    leaseDurationSeconds: Int32 | None = None
    acquireTime: MicroTime | None = None
    renewTime: MicroTime | None = None
    leaseTransitions: Int32 | None = None
    strategy: str | None = None
    preferredHolder: str | None = None


class Lease(Struct):
    kind: str = constant("Lease")
    apiVersion: str = constant("coordination.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: LeaseSpec = always(LeaseSpec)


STRATEGIES = ("OldestEmulationVersion",)


def prepare_create(new: Lease) -> None:
    """Coordinated leader election is off in v1.36: its fields are dropped."""
    new.spec.strategy = None
    new.spec.preferredHolder = None


def prepare_update(new: Lease, old: Lease) -> None:
    """As on create, unless the old object has the fields."""
    if old.spec.strategy is None:
        new.spec.strategy = None
    if old.spec.preferredHolder is None:
        new.spec.preferredHolder = None


def validate(new: Lease) -> Errors:
    """Durations and counts."""
    errs: Errors = []
    spec, at = new.spec, field.path("spec")
    if spec.leaseDurationSeconds is not None and spec.leaseDurationSeconds <= 0:
        detail = "must be greater than 0"
        errs.append(
            field.invalid(at.child("leaseDurationSeconds"), spec.leaseDurationSeconds, detail)
        )
    if spec.leaseTransitions is not None:
        rules.not_negative(errs, at, "leaseTransitions", spec.leaseTransitions)
    if spec.strategy is not None:
        # Upstream names the field twice.
        where = at.child("strategy", "strategy")
        if "/" in spec.strategy:
            rules.add(errs, where, spec.strategy, names.is_qualified_name(spec.strategy))
        elif spec.strategy not in STRATEGIES:
            errs.append(field.not_supported(where, spec.strategy, STRATEGIES))
    if spec.preferredHolder and not spec.strategy:
        detail = "may only be specified if `strategy` is defined"
        errs.append(field.forbidden(at.child("preferredHolder"), detail))
    return errs


RESOURCE = Resource(
    type=Lease,
    plural="leases",
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    validate=validate,
    unconditional_update=False,
    create_on_update=True,
    columns=(
        columns.NAME,
        Column("Holder", "spec.holderIdentity", "Who holds it.", empty=""),
        columns.AGE,
    ),
)

"""LeaseCandidate: a candidate for a lease, and its versions.

In: LeaseCandidates. Called by: the write path, server-side printing. Upstream:
pkg/apis/coordination/validation, pkg/registry/coordination/leasecandidate; KEP-4355.
"""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, rules
from trireme.api.coordination.v1.lease import STRATEGIES
from trireme.api.rules import Errors
from trireme.expr.cel.errors import EvalError
from trireme.expr.cel.library import semvers
from trireme.machinery import field, meta, names
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import MicroTime, Required, Struct, always, constant


class LeaseCandidateSpec(Struct):
    leaseName: Annotated[str, Required()] = always(str)
    pingTime: MicroTime | None = None
    renewTime: MicroTime | None = None
    binaryVersion: Annotated[str, Required()] = always(str)
    emulationVersion: str = ""
    strategy: Annotated[str, Required()] = ""


class LeaseCandidate(Struct):
    kind: str = constant("LeaseCandidate")
    apiVersion: str = constant("coordination.k8s.io/v1beta1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[LeaseCandidateSpec, Required()] = always(LeaseCandidateSpec)


def validate(new: LeaseCandidate) -> Errors:
    """A lease, versions that fit together, and a strategy."""
    errs: Errors = []
    at, spec = field.path("spec"), new.spec
    rules.required(errs, at, "leaseName", spec.leaseName)
    emulated = _version(errs, at, "emulationVersion", spec.emulationVersion)
    own = None
    if rules.required(errs, at, "binaryVersion", spec.binaryVersion):
        own = _version(errs, at, "binaryVersion", spec.binaryVersion)
    both = spec.binaryVersion and spec.emulationVersion
    if both and semvers.compare(own or _NONE, emulated or _NONE) < 0:
        detail = "must be greater than or equal to `emulationVersion`"
        errs.append(field.invalid(at.child("binaryVersion"), spec.binaryVersion, detail))
    if not rules.required(errs, at, "strategy", spec.strategy):
        return errs
    if spec.strategy == STRATEGIES[0] and (emulated or _NONE) == _NONE:
        detail = "must be specified when `strategy` is 'OldestEmulationVersion'"
        errs.append(field.required(at.child("emulationVersion"), detail))
    # Upstream names the field twice.
    where = at.child("strategy", "strategy")
    if "/" in spec.strategy:
        rules.add(errs, where, spec.strategy, names.is_qualified_name(spec.strategy))
    elif spec.strategy not in STRATEGIES:
        errs.append(field.not_supported(where, spec.strategy, STRATEGIES))
    return errs


_NONE = semvers.Semver((0, 0, 0), ())


def _version(errs: Errors, at: Path, name: str, text: str) -> semvers.Semver | None:
    if not text:
        return None
    try:
        return semvers.parse(text)
    except EvalError:
        errs.append(field.invalid(at.child(name), text, "must be a valid semantic version"))
        return None


def validate_update(new: LeaseCandidate, old: LeaseCandidate) -> Errors:
    """The lease stays."""
    errs = validate(new)
    rules.unchanged(errs, field.path("spec"), "leaseName", new.spec.leaseName, old.spec.leaseName)
    return errs


RESOURCE = Resource(
    type=LeaseCandidate,
    plural="leasecandidates",
    name_errors=names.is_config_key,
    validate=validate,
    validate_update=validate_update,
    unconditional_update=False,
    create_on_update=True,
    columns=(
        columns.NAME,
        Column("LeaseName", "spec.leaseName", "The lease that it would hold."),
        Column("BinaryVersion", "spec.binaryVersion", "How new it is."),
        Column("EmulationVersion", "spec.emulationVersion", "As how new it acts."),
        columns.AGE,
    ),
    default_on=False,
    deprecated="v1.36+, unavailable in v1.39+",
)

"""Types of podgroups, and their rules, that both kinds of scheduling/v1alpha2 have.

Upstream: k8s.io/api/scheduling/v1alpha2, whose tags say the rules; KEP-4671. Scheduling
constraints, claims, disruption modes and priorities wait for gates of their own, which are off:
those fields are dropped unless the stored object has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from trireme.api import rules
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path
from trireme.machinery.types import Atomic, Enum, Int32, Required, Struct, always

DisruptionMode = Annotated[str, Enum(("Pod", "PodGroup"))]
_AT_MOST: Final = "must be no more than"
GATED: Final[dict[str, Any]] = {
    "schedulingConstraints": None,
    "disruptionMode": None,
    "priorityClassName": "",
    "priority": None,
}


class PodGroupResourceClaim(Struct):
    name: Annotated[str, Required()] = always(str)
    resourceClaimName: str | None = None
    resourceClaimTemplateName: str | None = None


class TopologyConstraint(Struct):
    key: Annotated[str, Required()] = always(str)


class PodGroupSchedulingConstraints(Struct):
    topology: Annotated[list[TopologyConstraint], Atomic()] = []


class BasicSchedulingPolicy(Struct):
    """No fields."""


class GangSchedulingPolicy(Struct):
    minCount: Annotated[Int32, Required()] = always(int)


class PodGroupSchedulingPolicy(Struct):
    basic: BasicSchedulingPolicy | None = None
    gang: GangSchedulingPolicy | None = None


def drop_disabled(new: Any, old: Any) -> None:
    """Drops fields of disabled feature gates, unless ``old`` (None on create) has them."""
    for name, nothing in GATED.items():
        if old is None or getattr(old, name) == nothing:
            setattr(new, name, nothing)
    if old is None or not old.resourceClaims:
        new.resourceClaims = []


def forbid_disabled(errs: Errors, at: Path, new: Any, old: Any) -> None:
    """Fields of disabled gates may stay, but not change."""
    for name, nothing in GATED.items():
        value = getattr(new, name)
        if value != nothing and value != getattr(old, name):
            errs.append(field.forbidden(at.child(name), ""))


def short_name(text: str) -> list[str]:
    """A DNS label, in the words of rules that are written as tags."""
    return [
        each.replace("characters", "bytes") if each.startswith(_AT_MOST) else each
        for each in names.is_dns1123_label(text)
    ]


def long_name(text: str) -> list[str]:
    """The same of a DNS subdomain."""
    return [
        each.replace("characters", "bytes") if each.startswith(_AT_MOST) else each
        for each in names.is_dns1123_subdomain(text)
    ]


def policy(errs: Errors, at: Path, value: PodGroupSchedulingPolicy) -> None:
    """Basic or gang."""
    union(errs, at, value, ("basic", "gang"))
    if value.gang is not None:
        where = at.child("gang")
        count = value.gang.minCount
        if rules.required(errs, where, "minCount", count) and count < 1:
            detail = "must be greater than or equal to 1"
            errs.append(field.invalid(where.child("minCount"), count, detail))


def union(errs: Errors, at: Path, value: Any, members: Sequence[str]) -> None:
    """Exactly one of the members is there."""
    given = [name for name in members if getattr(value, name) is not None]
    listed = ", ".join(f"`{name}`" for name in members)
    if len(given) > 1:
        detail = f"must specify exactly one of: {listed}"
        errs.append(field.invalid(at, "{" + ", ".join(given) + "}", detail))
    elif not given:
        errs.append(field.invalid(at, "", f"must specify one of: {listed}"))


def claims(errs: Errors, at: Path, items: list[PodGroupResourceClaim]) -> None:
    """Up to four claims by unique names, each of one claim or template."""
    if len(items) > 4:
        errs.append(field.too_many(at, len(items), 4))
        return
    for position, item in enumerate(items):
        here = at.index(position)
        if any(other.name == item.name for other in items[:position]):
            errs.append(field.duplicate(here, item))
    for position, item in enumerate(items):
        here = at.index(position)
        union(errs, here, item, ("resourceClaimName", "resourceClaimTemplateName"))
        rules.required_syntax(errs, here, "name", item.name, short_name)
        for name in ("resourceClaimName", "resourceClaimTemplateName"):
            text = getattr(item, name)
            if text is not None:
                rules.syntax(errs, here, name, text, long_name)

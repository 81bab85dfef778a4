"""Rules of limit ranges.

In: a LimitRange. Out: field errors. Called by ``limitrange``. Upstream:
pkg/apis/core/validation; https://kubernetes.io/docs/concepts/policy/limit-range/.
"""

from __future__ import annotations

from typing import Final

from trireme.api import rules
from trireme.api.core.v1 import resource_names
from trireme.api.core.v1.limitrange_types import LimitRange, LimitRangeItem
from trireme.api.rules import Errors
from trireme.machinery import field, names, quantity
from trireme.machinery.field import Path
from trireme.machinery.quantity import Quantity

_TYPES: Final = ("Pod", "Container", "PersistentVolumeClaim")
_OF_PODS: Final = "may not be specified when `type` is 'Pod'"
# Larger quantities are not compared in thousandths.
_MOST_MILLI: Final = (2**63 - 1) // 1000


def validate(new: LimitRange) -> Errors:
    """Every type of limit once, and within it: min <= defaultRequest <= default <= max."""
    errs: Errors = []
    used: set[str] = set()
    for position, item in enumerate(new.spec.limits or ()):
        at = field.path("spec", "limits").index(position)
        rules.add(errs, at.child("type"), item.type, _type(item.type))
        if item.type in used:
            errs.append(field.duplicate(at.child("type"), item.type))
        used.add(item.type)
        _item(errs, at, item)
    return errs


def _type(name: str) -> list[str]:
    messages = names.is_qualified_name(name)
    if messages or "/" in name or name in _TYPES:
        return messages
    return ["must be a standard limit type or fully qualified"]


def _item(errs: Errors, at: Path, item: LimitRangeItem) -> None:
    _names(errs, at, item, "max")
    _names(errs, at, item, "min")
    if item.type == "Pod":
        for name in ("default", "defaultRequest"):
            if getattr(item, name):
                errs.append(field.forbidden(at.child(name), _OF_PODS))
    else:
        _names(errs, at, item, "default")
        _names(errs, at, item, "defaultRequest")
    if item.type == "PersistentVolumeClaim" and not {"storage"} & {*item.min, *item.max}:
        detail = "either minimum or maximum storage value is required, but neither was provided"
        errs.append(field.required(at.child("limits"), detail))
    _names(errs, at, item, "maxLimitRequestRatio")
    whole = item.type != "Pod"
    named = {*item.min, *item.max, *item.maxLimitRequestRatio}
    named |= {*item.default, *item.defaultRequest} if whole else set()
    for name in sorted(named):
        _Bounds(item, name, whole).validate(errs, at)


def _names(errs: Errors, at: Path, item: LimitRangeItem, where: str) -> None:
    for name in getattr(item, where):
        here = at.child(where).key(name)
        pods = item.type in ("Pod", "Container")
        check = resource_names.container_name_errors if pods else resource_names.name_errors
        rules.add(errs, here, name, check(name))


class _Bounds:
    """The bounds and defaults of one resource; None where there is none."""

    def __init__(self, item: LimitRangeItem, name: str, whole: bool) -> None:
        self.name = name
        self.least, self.most = _read(item.min, name), _read(item.max, name)
        self.limit = _read(item.default, name) if whole else None
        self.request = _read(item.defaultRequest, name) if whole else None
        self.ratio = _read(item.maxLimitRequestRatio, name)

    def validate(self, errs: Errors, at: Path) -> None:
        """Errors in upstream's order; where it shows the bound as the bad value, so do we."""
        least, most, limit, request = self.least, self.most, self.limit, self.request

        def over(
            low: Quantity | None,
            high: Quantity | None,
            where: str,
            bad_value: Quantity | None,
            detail: str,
        ) -> None:
            if low is not None and high is not None and low > high:
                text = detail.format(low=low, high=high)
                errs.append(field.invalid(at.child(where).key(self.name), str(bad_value), text))

        over(least, most, "min", least, "min value {low} is greater than max value {high}")
        text = "min value {low} is greater than default request value {high}"
        over(least, request, "defaultRequest", request, text)
        text = "default request value {low} is greater than max value {high}"
        over(request, most, "defaultRequest", request, text)
        text = "default request value {low} is greater than default limit value {high}"
        over(request, limit, "defaultRequest", request, text)
        text = "min value {low} is greater than default value {high}"
        over(least, limit, "default", least, text)
        text = "default value {low} is greater than max value {high}"
        over(limit, most, "default", most, text)
        self._validate_ratio(errs, at.child("maxLimitRequestRatio").key(self.name))
        if limit is None or request is None or limit == request:
            return
        if not resource_names.may_overcommit(self.name):
            where = at.child("defaultRequest").key(self.name)
            detail = (
                f"default value {limit} must equal to defaultRequest value {request} in {self.name}"
            )
            errs.append(field.invalid(where, str(request), detail))

    def _validate_ratio(self, errs: Errors, at: Path) -> None:
        ratio, least, most = self.ratio, self.least, self.most
        if ratio is None:
            return
        if ratio < quantity.of(1):
            errs.append(field.invalid(at, str(ratio), f"ratio {ratio} is less than 1"))
        if least is None or most is None:
            return
        exact = all(item.value() < _MOST_MILLI for item in (ratio, least, most))
        requested = ratio.milli_value() / 1000 if exact else float(ratio.value())
        low = least.milli_value() if exact else least.value()
        high = most.milli_value() if exact else most.value()
        if low and requested > high / low:
            detail = f"ratio {ratio} is greater than max/min = {high / low:f}"
            errs.append(field.invalid(at, str(ratio), detail))


def _read(quantities: dict[str, str], name: str) -> Quantity | None:
    text = quantities.get(name)
    return None if text is None else quantity.parse(text)

"""Rules of the capacity of a device that several claims may share: what may be requested of it.

Called by: ``device_rules``. Upstream: pkg/apis/resource/validation; KEP-5075.
"""

from __future__ import annotations

from typing import Final

from trireme.api.resource.v1.slice_types import CapacityRequestPolicyRange, DeviceCapacity
from trireme.api.rules import Errors
from trireme.machinery import field, quantity
from trireme.machinery.field import Path
from trireme.machinery.quantity import Quantity

_MOST_VALUES: Final = 10


def shared(errs: Errors, at: Path, item: DeviceCapacity) -> None:
    """Valid values or a valid range, and a default among them."""
    policy, at = item.requestPolicy, at.child("requestPolicy")
    if policy is None:
        return
    if policy.validValues and policy.validRange is not None:
        detail = (
            'exactly one policy can be specified, cannot specify "validValues" and "validRange" '
            "at the same time"
        )
        errs.append(field.forbidden(at, detail))
        return
    whole = quantity.parse(item.value)
    default = None if policy.default is None else quantity.parse(policy.default)
    if policy.validValues:
        if default is None:
            detail = "required when validValues is defined"
            errs.append(field.required(at.child("default"), detail))
        else:
            values = [quantity.parse(text) for text in policy.validValues]
            _values(errs, at.child("validValues"), values, default, whole)
    elif policy.validRange is not None:
        if default is None:
            detail = "required when validRange is defined"
            errs.append(field.required(at.child("default"), detail))
        else:
            _range(errs, at.child("validRange"), policy.validRange, default, whole)


def _values(
    errs: Errors, at: Path, values: list[Quantity], default: Quantity, whole: Quantity
) -> None:
    for position in range(len(values) - 1):
        after = values[position + 1]
        if values[position] > after:
            detail = "values must be sorted in ascending order"
            errs.append(field.invalid(at.index(position + 1), str(after), detail))
    if len(values) > _MOST_VALUES:
        # Without values the default is not among them.
        errs.append(field.too_many(at, len(values), _MOST_VALUES))
    else:
        for position, option in enumerate(values):
            if option > whole:
                detail = f"option is larger than capacity value: {whole}"
                errs.append(field.invalid(at.index(position), str(option), detail))
        used: set[int] = set()
        for position, option in enumerate(values):
            if option.value() in used:
                errs.append(field.duplicate(at.index(position), str(option.value())))
            used.add(option.value())
    if len(values) > _MOST_VALUES or default not in values:
        detail = "default value is not valid according to the requestPolicy"
        errs.append(field.invalid(at, str(default), detail))


def _range(
    errs: Errors,
    at: Path,
    bounds: CapacityRequestPolicyRange,
    default: Quantity,
    whole: Quantity,
) -> None:
    if bounds.min is None:
        errs.append(field.required(at.child("min"), "required when validRange is defined"))
        return
    least = quantity.parse(bounds.min)
    most = None if bounds.max is None else quantity.parse(bounds.max)
    where = at.child("min")
    if least > whole:
        detail = f"min is larger than capacity value: {whole}"
        errs.append(field.invalid(where, str(least), detail))
    if default < least:
        errs.append(field.invalid(where, str(default), f"default is less than min: {least}"))
    if most is not None:
        where = at.child("max")
        if least > most:
            errs.append(field.invalid(where, str(least), f"min is larger than max: {most}"))
        if most > whole:
            detail = f"max is larger than capacity value: {whole}"
            errs.append(field.invalid(where, str(most), detail))
        if default > most:
            errs.append(field.invalid(where, str(default), f"default is more than max: {most}"))
    if bounds.step is not None:
        step, where = quantity.parse(bounds.step), at.child("step")
        if least + step > whole:
            detail = f"one step {least + step} is larger than capacity value: {whole}"
            errs.append(field.invalid(where, str(step), detail))
        for value in (default,) if most is None else (default, most):
            # Upstream panics on a step of 0; no value is a multiple of it.
            if not step.value() or (value.value() - least.value()) % step.value():
                detail = f"value is not a multiple of a given step ({step}) from ({least})"
                errs.append(field.invalid(where, str(value), detail))

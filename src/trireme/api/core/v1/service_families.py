"""Cluster IPs of a Service and their families: what they may be, and how they may change.

In: Services. Out: errors on the list given. Called by: ``service_rules``. Upstream:
pkg/apis/core/validation; https://kubernetes.io/docs/concepts/services-networking/dual-stack/.
"""

from __future__ import annotations

from typing import Any, Final

from trireme.api import rules
from trireme.api.core.v1.service import Service
from trireme.api.rules import Errors
from trireme.machinery import field, names

NONE: Final = "None"
_FAMILIES: Final = ("IPv4", "IPv6")
_SPEC: Final = field.path("spec")
_IPS: Final = _SPEC.child("clusterIPs")
_FAMILY: Final = _SPEC.child("ipFamilies")
_FIXED: Final = "may not change once set"


def is_headless(obj: Service) -> bool:
    """Without an address of its own."""
    return obj.spec.clusterIPs == [NONE]


def addresses(errs: Errors, new: Service, old: Service | None) -> None:
    """``clusterIP``, ``clusterIPs``, ``ipFamilies`` and ``ipFamilyPolicy``."""
    spec = new.spec
    if spec.type == "ExternalName":
        return
    ips = spec.clusterIPs
    if spec.clusterIP:
        if not ips:
            errs.append(field.required(_IPS))
        elif ips[0] != spec.clusterIP:
            errs.append(field.invalid(_IPS, ips, "first value must match `clusterIP`"))
    elif ips:
        errs.append(field.invalid(_IPS, ips, "must be empty when `clusterIP` is not specified"))
    for position, family in enumerate(spec.ipFamilies):
        if family not in _FAMILIES:
            errs.append(field.not_supported(_FAMILY.index(position), family, _FAMILIES))
        if family in spec.ipFamilies[:position]:
            errs.append(field.duplicate(_FAMILY.index(position), family))
    rules.declared(errs, _SPEC, spec, "ipFamilyPolicy")
    if not _valid_ips(errs, ips, old.spec.clusterIPs if old is not None else []):
        return
    if len(ips) > 1 and not rules.is_dual_stack(ips):
        detail = "may specify no more than one IP for each IP family"
        errs.append(field.invalid(_IPS, ips, detail))
    if not is_headless(new):
        pairs = zip(ips, spec.ipFamilies, strict=False)
        for position, (address, family) in enumerate(pairs):
            if family in _FAMILIES and family != ("IPv6" if ":" in address else "IPv4"):
                detail = f"expected an {family} value as indicated by `ipFamilies[{position}]`"
                errs.append(field.invalid(_IPS.index(position), address, detail))


def changed(errs: Errors, new: Service, old: Service) -> None:
    """The first address and family stay; a second one may come, or go with SingleStack."""
    if "ExternalName" in (new.spec.type, old.spec.type):
        return
    headless, was_headless = is_headless(new), is_headless(old)
    if not (headless and was_headless):
        _ips_changed(errs, new, old)
    if not headless and not was_headless:
        _families_changed(errs, new, old)


def _valid_ips(errs: Errors, ips: list[str], known: list[str]) -> bool:
    valid = True
    for position, address in enumerate(ips):
        if position == 0 and address == NONE:
            if len(ips) > 1:
                valid = False
                errs.append(field.invalid(_IPS, ips, "'None' must be the first and only value"))
            continue
        messages = names.is_legacy_ip(address) if address not in known else []
        valid = valid and not messages
        rules.add(errs, _IPS.index(position), address, messages)
    if len(ips) > 2:
        errs.append(field.invalid(_IPS, ips, "may only hold up to 2 values"))
    return valid


def _ips_changed(errs: Errors, new: Service, old: Service) -> None:
    ips, was = new.spec.clusterIPs, old.spec.clusterIPs
    if len(ips) == len(was):
        for position, (address, before) in enumerate(zip(ips, was, strict=True)):
            if address != before:
                errs.append(field.invalid(_IPS.index(position), ips, _FIXED))
        return
    if not ips:
        detail = "primary clusterIP can not be unset"
        errs.append(field.invalid(_IPS.index(0), None, detail))
    elif was and ips[0] != was[0]:
        errs.append(field.invalid(_IPS.index(0), ips, _FIXED))
    if len(was) > len(ips) == 1:
        _single(errs, new, "clusterIP")


def _families_changed(errs: Errors, new: Service, old: Service) -> None:
    given, was = new.spec.ipFamilies, old.spec.ipFamilies
    first: Any = _FAMILY.index(0)
    if len(given) == len(was):
        for family, before in zip(given, was, strict=True):
            if family != before:
                errs.append(field.invalid(first, given, _FIXED))
        return
    if len(was) > len(given) and not new.spec.clusterIPs:
        errs.append(field.invalid(first, given or None, "primary ipFamily can not be unset"))
    if given and was and given[0] != was[0]:
        errs.append(field.invalid(first, new.spec.clusterIPs, _FIXED))
    if len(was) > len(given) == 1:
        _single(errs, new, "ipFamily")


def _single(errs: Errors, new: Service, what: str) -> None:
    policy = new.spec.ipFamilyPolicy
    if policy != "SingleStack":
        detail = f"must be set to 'SingleStack' when releasing the secondary {what}"
        errs.append(field.invalid(_SPEC.child("ipFamilyPolicy"), policy, detail))

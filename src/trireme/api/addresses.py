"""Warnings for addresses and networks in a form that is not canonical.

In: the place of a value, and its text, which the rules let pass. Out: warnings. Called by: the
``warnings`` of kinds with fields that are older than the strict syntax. Upstream: apimachinery
``util/validation/ip.go``.
"""

from __future__ import annotations

import ipaddress

from trireme.machinery import gotext, names
from trireme.machinery.field import Path


def ip_warnings(at: Path, text: str) -> list[str]:
    """Leading zeros, IPv4 as IPv6, IPv6 that is not canonical."""
    sloppy = names.parse_ip_sloppy(text)
    if sloppy is None:
        return []
    strict = names.parse_ip_strict(text)
    quoted = gotext.quote(text)
    if strict is None or _is_mapped(strict):
        better = gotext.quote(str(_unmapped(sloppy)))
        return [f"{at}: non-standard IP address {quoted} is invalid: use {better}"]
    if strict.version == 6 and str(strict) != text:
        better = gotext.quote(str(strict))
        return [f"{at}: IPv6 address {quoted} should be in RFC 5952 canonical format ({better})"]
    return []


def cidr_warnings(at: Path, text: str) -> list[str]:
    """As ``ip_warnings``, and bits beyond the length of the prefix."""
    address_text, _, prefix = text.partition("/")
    sloppy = names.parse_ip_sloppy(address_text)
    if sloppy is None or not prefix.isdigit() or int(prefix) > sloppy.max_prefixlen:
        return []
    length = int(prefix)
    found: list[str] = []
    network: ipaddress.IPv4Network | ipaddress.IPv6Network = ipaddress.ip_network(
        (int(sloppy), length) if sloppy.version == 4 else (sloppy.packed, length), strict=False
    )
    quoted, better = gotext.quote(text), gotext.quote(str(network))
    if network.network_address != sloppy:
        single = gotext.quote(f"{_unmapped(sloppy)}/{sloppy.max_prefixlen}")
        found.append(
            f"{at}: CIDR value {quoted} is ambiguous in this context "
            f"(should be {better} or {single}?)"
        )
    strict = names.parse_ip_strict(address_text)
    zeros = len(prefix) > 1 and prefix[0] == "0"
    if strict is None or zeros or _is_mapped(strict):
        found.append(f"{at}: non-standard CIDR value {quoted} is invalid: use {better}")
    elif not found and strict.version == 6 and f"{strict}/{length}" != text:
        better = gotext.quote(f"{strict}/{length}")
        found.append(
            f"{at}: IPv6 CIDR value {quoted} should be in RFC 5952 canonical format ({better})"
        )
    return found


def _is_mapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None


def _unmapped(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address

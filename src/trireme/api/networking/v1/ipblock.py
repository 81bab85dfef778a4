"""Types of ipblock, and its rules: a network, less some parts of it. Networking/v1.

Called by: ``networkpolicy``. Upstream: pkg/apis/networking/validation.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Annotated

import msgspec

from trireme.api import rules
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path
from trireme.machinery.types import Atomic, Required, Struct, always


class IPBlock(Struct):
    cidr: Annotated[str, Required()] = always(str)
    except_: Annotated[list[str], Atomic()] = msgspec.field(default_factory=list, name="except")


def check(errs: Errors, at: Path, block: IPBlock, known: Collection[str]) -> None:
    """A network, and strict parts of it. ``known`` were stored and are not validated again."""
    if not rules.required(errs, at, "cidr", block.cidr):
        return
    if block.cidr not in known:
        rules.syntax(errs, at, "cidr", block.cidr, names.is_legacy_cidr)
    whole = network(block.cidr)
    if whole is None:
        return
    for position, text in enumerate(block.except_):
        where = at.child("except").index(position)
        if text not in known:
            rules.add(errs, where, text, names.is_legacy_cidr(text))
        part = network(text)
        if part is None:
            continue
        inside = part.version == whole.version and part.network_address in whole
        if not inside or whole.prefixlen >= part.prefixlen:
            errs.append(field.invalid(where, text, "must be a strict subset of `cidr`"))


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network as lenient readers take it: leading zeros and bits beyond the prefix ignored."""
    address_text, slash, prefix = text.partition("/")
    address = names.parse_ip_sloppy(address_text)
    if not slash or address is None or not prefix.isascii() or not prefix.isdigit():
        return None
    if len(prefix.lstrip("0")) > 3 or int(prefix) > address.max_prefixlen:
        return None
    return ipaddress.ip_network(f"{address}/{int(prefix)}", strict=False)

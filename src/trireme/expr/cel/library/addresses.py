"""IP addresses and networks: ``cidr('10.0.0.0/8').containsIP('10.1.2.3')``.

Out: ``OVERLOADS``, ``TYPES``. Called by: ``versions``. Rules: apiserver
``pkg/cel/library/{ip,cidr}``, Go ``net/netip``.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from .. import types as t
from ..errors import EvalError, no_such_overload
from ..functions import Overload, define, method
from ..values import Opaque

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_IP: Final = t.opaque("net.IP")
_CIDR: Final = t.opaque("net.CIDR")
TYPES: Final = {"net.IP": _IP, "net.CIDR": _CIDR}


class IP(Opaque):
    """An address without a zone."""

    __slots__ = ("address",)
    type_name = "net.IP"

    def __init__(self, address: Address) -> None:
        self.address = address

    @property
    def cel_size(self) -> int:
        """Its length in bytes."""
        return self.address.max_prefixlen // 8

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IP) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __str__(self) -> str:
        return _canonical(self.address)


class CIDR(Opaque):
    """An address and how many of its bits name the network; the others may be set."""

    __slots__ = ("address", "bits")
    type_name = "net.CIDR"

    def __init__(self, address: Address, bits: int) -> None:
        self.address = address
        self.bits = bits

    @property
    def cel_size(self) -> int:
        """The length of the network's part in bytes."""
        return -(-self.bits // 8)

    @property
    def network(self) -> int:
        """The bits of the network as a number."""
        return int(self.address) >> (self.address.max_prefixlen - self.bits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CIDR) and self.address == other.address and self.bits == other.bits

    def __hash__(self) -> int:
        return hash((self.address, self.bits))

    def __str__(self) -> str:
        return f"{_canonical(self.address)}/{self.bits}"

    def contains(self, address: Address) -> bool:
        """Whether the address is of the network."""
        if address.version != self.address.version:
            return False
        return int(address) >> (address.max_prefixlen - self.bits) == self.network


def _canonical(address: Address) -> str:
    return address.compressed


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _problem(text: str) -> str | None:
    """The error of Go's ``netip.ParseAddr`` for a text, None when it is valid."""
    for c in text:
        if c == ".":
            return _problem4(text, text)
        if c == ":":
            return _problem6(text)
        if c == "%":
            return f"ParseAddr({_quote(text)}): missing IPv6 address"
    return f"ParseAddr({_quote(text)}): unable to parse IP"


def _problem4(text: str, whole: str) -> str | None:
    def wrong(detail: str) -> str:
        return f"ParseAddr({_quote(whole)}): {detail}"

    value = digits = fields = 0
    for i, c in enumerate(text):
        if c in "0123456789":
            if digits == 1 and value == 0:
                return wrong("IPv4 field has octet with leading zero")
            value = value * 10 + int(c)
            digits += 1
            if value > 255:
                return wrong("IPv4 field has value >255")
        elif c == ".":
            if i in (0, len(text) - 1) or text[i - 1] == ".":
                at = _quote(text[i:])
                return (
                    f"ParseAddr({_quote(whole)}): IPv4 field must have at least one digit (at {at})"
                )
            if fields == 3:
                return wrong("IPv4 address too long")
            fields += 1
            value = digits = 0
        else:
            return f"ParseAddr({_quote(whole)}): unexpected character (at {_quote(text[i:])})"
    return wrong("IPv4 address too short") if fields < 3 else None


_HEX: Final = re.compile(r"[0-9A-Fa-f]*").match


def _problem6(text: str) -> str | None:
    def wrong(detail: str, at: str = "") -> str:
        place = f" (at {_quote(at)})" if at else ""
        return f"ParseAddr({_quote(text)}): {detail}{place}"

    rest = text
    gap = rest.startswith("::")
    if gap:
        rest = rest[2:]
    count = 0
    while rest and count < 8:
        m = _HEX(rest)
        assert m is not None
        digits = m.end()
        if digits > 4:
            return wrong("each group must have 4 or less digits", rest)
        if digits == 0:
            return wrong("each colon-separated field must have at least one digit", rest)
        if rest[digits : digits + 1] == ".":
            if not gap and count != 6:
                detail = "embedded IPv4 address must replace the final 2 fields of the address"
                return wrong(detail, rest)
            if count > 6:
                detail = "too many hex fields to fit an embedded IPv4 at the end of the address"
                return wrong(detail, rest)
            problem = _problem4(rest, text)
            if problem is not None:
                return problem
            count, rest = count + 2, ""
            break
        count, rest = count + 1, rest[digits:]
        if not rest:
            break
        if rest[0] != ":":
            return wrong("unexpected character, want colon", rest)
        if len(rest) == 1:
            return wrong("colon must be followed by more characters", rest)
        rest = rest[1:]
        if rest[0] == ":":
            if gap:
                return wrong("multiple :: in address", rest)
            gap, rest = True, rest[1:]
    if rest:
        return wrong("trailing garbage after address", rest)
    if count < 8:
        return None if gap else wrong("address string too short")
    return wrong("the :: must expand to at least one field of zeros") if gap else None


def parse_ip(text: str) -> IP:
    """The address; ``EvalError`` for none, for one with a zone and for IPv4 mapped into IPv6."""
    name, percent, zone = text.partition("%")
    problem = _problem(name if percent else text)
    if problem is None and percent and not zone:
        problem = f"ParseAddr({_quote(text)}): zone must be a non-empty string"
    if problem is not None:
        raise EvalError(
            f"IP Address {_quote(text)} parse error during conversion from string: {problem}"
        )
    if zone:
        raise EvalError(f"IP address {_quote(text)} with zone value is not allowed")
    address = ipaddress.ip_address(name)
    if address.version == 6 and address.ipv4_mapped is not None:
        raise EvalError(f"IPv4-mapped IPv6 address {_quote(text)} is not allowed")
    return IP(address)


_BITS: Final = re.compile(r"0|[1-9][0-9]*", re.ASCII).fullmatch


def _prefix(text: str) -> CIDR:
    def wrong(detail: str) -> EvalError:
        return EvalError(
            "network address parse error during conversion from string: "
            f"netip.ParsePrefix({_quote(text)}): {detail}"
        )

    name, slash, bits = text.rpartition("/")
    if not slash:
        raise wrong("no '/'")
    problem = _problem(name.partition("%")[0])
    if problem is not None:
        raise wrong(problem)
    if "%" in name:
        raise wrong("IPv6 zones cannot be present in a prefix")
    if not _BITS(bits):
        raise wrong(f"bad bits after slash: {_quote(bits)}")
    address = ipaddress.ip_address(name)
    if len(bits) > 3 or int(bits) > address.max_prefixlen:
        raise wrong("prefix length out of range")
    if address.version == 6 and address.ipv4_mapped is not None:
        raise EvalError(f"IPv4-mapped IPv6 address {_quote(text)} is not allowed")
    return CIDR(address, int(bits))


def parse_cidr(text: str) -> CIDR:
    """The network; ``EvalError`` with upstream's words."""
    try:
        return _prefix(text)
    except EvalError as e:
        raise EvalError(
            f"network address parse error during conversion from string: {e.message}"
        ) from None


def _is_ip(text: str) -> bool:
    try:
        parse_ip(text)
    except EvalError:
        return False
    return True


def _is_cidr(text: str) -> bool:
    try:
        _prefix(text)
    except EvalError:
        return False
    return True


def _global_unicast(ip: IP) -> bool:
    a = ip.address
    if a.version == 4 and int(a) in (0, 0xFFFFFFFF):
        return False
    return not (a.is_unspecified or a.is_loopback or a.is_multicast or a.is_link_local)


def _link_local_multicast(ip: IP) -> bool:
    if ip.address.version == 4:
        return int(ip.address) >> 8 == 0xE00000
    return int(ip.address) >> 112 & 0xFF0F == 0xFF02


def _masked(c: CIDR) -> CIDR:
    host = c.address.max_prefixlen - c.bits
    kind = type(c.address)
    return CIDR(kind(int(c.address) >> host << host), c.bits)


def _contains_ip(c: CIDR, text: str) -> bool:
    try:
        address = parse_ip(text).address
    except EvalError:  # as upstream, which drops the error
        raise no_such_overload() from None
    return c.contains(address)


def _contains_cidr(c: CIDR, other: CIDR) -> bool:
    return c.bits <= other.bits and c.contains(other.address)


_S: Final = t.STRING
IP_OVERLOADS: Final[list[Overload]] = [
    define("ip", "string_to_ip", (_S,), _IP, parse_ip),
    method("family", "ip_family", (_IP,), t.INT, lambda ip: ip.address.version),
    define("ip.isCanonical", "ip_is_canonical", (_S,), t.BOOL, lambda s: str(parse_ip(s)) == s),
    method(
        "isUnspecified", "ip_is_unspecified", (_IP,), t.BOOL, lambda ip: ip.address.is_unspecified
    ),
    method("isLoopback", "ip_is_loopback", (_IP,), t.BOOL, lambda ip: ip.address.is_loopback),
    method(
        "isLinkLocalMulticast", "ip_is_link_local_multicast", (_IP,), t.BOOL, _link_local_multicast
    ),
    method(
        "isLinkLocalUnicast",
        "ip_is_link_local_unicast",
        (_IP,),
        t.BOOL,
        lambda ip: ip.address.is_link_local,
    ),
    method("isGlobalUnicast", "ip_is_global_unicast", (_IP,), t.BOOL, _global_unicast),
    define("isIP", "is_ip", (_S,), t.BOOL, _is_ip),
    define("string", "ip_to_string", (_IP,), _S, str),
]
CIDR_OVERLOADS: Final[list[Overload]] = [
    define("cidr", "string_to_cidr", (_S,), _CIDR, parse_cidr),
    method(
        "containsIP",
        "cidr_contains_ip_string",
        (_CIDR, _S),
        t.BOOL,
        _contains_ip,
    ),
    method(
        "containsIP",
        "cidr_contains_ip_ip",
        (_CIDR, _IP),
        t.BOOL,
        lambda c, ip: c.contains(ip.address),
    ),
    method(
        "containsCIDR",
        "cidr_contains_cidr_string",
        (_CIDR, _S),
        t.BOOL,
        lambda c, s: _contains_cidr(c, parse_cidr(s)),
    ),
    method("containsCIDR", "cidr_contains_cidr", (_CIDR, _CIDR), t.BOOL, _contains_cidr),
    method("ip", "cidr_ip", (_CIDR,), _IP, lambda c: IP(c.address)),
    method("prefixLength", "cidr_prefix_length", (_CIDR,), t.INT, lambda c: c.bits),
    method("masked", "cidr_masked", (_CIDR,), _CIDR, _masked),
    define("isCIDR", "is_cidr", (_S,), t.BOOL, _is_cidr),
    define("string", "cidr_to_string", (_CIDR,), _S, str),
]

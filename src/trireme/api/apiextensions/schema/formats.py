"""The string formats that a schema may name, and what they accept.

In: a format's name and a text. Out: yes or no. Formats that are not here are ignored, with a
warning when a definition is written. Rules: kube-openapi pkg/validation/strfmt.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import date
from email.utils import parseaddr
from typing import Any, Final

from trireme.machinery import names, time

_HEX = "[0-9a-fA-F]"
_UUID: Final = re.compile(rf"{_HEX}{{8}}-?{_HEX}{{4}}-?({_HEX}{{4}})-?({_HEX}{{4}})-?{_HEX}{{12}}")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CLOCK: Final = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))")
_DURATION: Final = re.compile(r"(\d+)\s*([A-Za-zµ]+)", re.ASCII)
_UNITS: Final = (
    ("ns", "nano"),
    ("us", "µs", "micro"),
    ("ms", "milli"),
    ("s", "sec"),
    ("m", "min"),
    ("h", "hr", "hour"),
    ("d", "day"),
    ("w", "wk", "week"),
)
_CARD: Final = re.compile(
    r"(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|(222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]"
    r"|2720)[0-9]{12}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}"
    r"|(?:2131|1800|35\d{3})\d{11}|6[27][0-9]{14})",
    re.ASCII,
)
_SSN: Final = re.compile(r"\d{3}[- ]?\d{2}[- ]?\d{4}", re.ASCII)
_COLOR: Final = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_BYTE = r"\s*(0|[1-9]\d?|1\d\d?|2[0-4]\d|25[0-5])\s*"
_RGB: Final = re.compile(rf"rgb\({_BYTE},{_BYTE},{_BYTE}\)", re.ASCII)
_BASE64: Final = re.compile(
    r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"
)
_BSON: Final = re.compile(rf"{_HEX}{{24}}")
_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ESCAPE: Final = re.compile(rf"%(?!{_HEX}{{2}})")


def is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return text[:4] == "0000" and is_date("2000" + text[4:])
    return True


def is_datetime(text: str) -> bool:
    if len(text) < 4:
        return False
    parts = text.lower().split("t")
    if len(parts) < 2 or not is_date(parts[0]):
        return False
    found = _CLOCK.fullmatch(parts[1])
    return found is not None and found[1] <= "23" and found[2] <= "59" and found[3] <= "59"


def is_duration(text: str) -> bool:
    try:
        time.parse_duration(text)
        return True
    except ValueError:
        pass
    for found in _DURATION.finditer(text):
        unit = found[2].lower()
        if any(unit in names or unit.startswith(names[-1]) for names in _UNITS):
            return True
    return False


def is_hostname(text: str) -> bool:
    """One label of letters, digits and dashes, or several with a top-level domain of letters."""
    if len(text.encode()) > 255 or any(len(part.encode()) > 63 for part in text.split(".")):
        return False
    *labels, last = text.split(".")
    if not labels:
        return _is_label(last, "--") or _is_dashed(last)
    return all(_is_label(label, "") for label in labels) and _is_top_level(last)


def _plain(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or unicodedata.category(character).startswith("S")
    return unicodedata.category(character)[0] in "SL"


def _is_label(text: str, _forbidden: str) -> bool:
    if not text or not _plain(text[0]) or not _plain(text[-1]):
        return False
    if _forbidden and "-" in text:
        return False
    return all(character == "-" or _plain(character) for character in text)


def _is_dashed(text: str) -> bool:
    """A single name may hold one dash, after its first character."""
    if len(text) < 2 or not _plain(text[0]) or text[1] != "-":
        return False
    return all(map(_plain, text[2:]))


def _is_top_level(text: str) -> bool:
    return 2 <= len(text) <= 63 and all(
        unicodedata.category(character)[0] == "L" for character in text
    )


def is_uri(text: str) -> bool:
    """An absolute URI or an absolute path."""
    if not text or any(ord(character) < 0x20 or character == "\x7f" for character in text):
        return False
    found = _URI.match(text)
    if found is None:
        return text.startswith("/") and not _ESCAPE.search(text.partition("?")[0])
    rest = text[found.end() :]
    host = rest[2:].partition("/")[0] if rest.startswith("//") else ""
    if " " in host or _ESCAPE.search(rest.partition("?")[0]):
        return False
    port = re.search(r":([^\]@]*)\Z", host)
    return port is None or port[1] == "" or port[1].isdigit()


def is_email(text: str) -> bool:
    _, address = parseaddr(text)
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain or any(c.isspace() for c in domain):
        return False
    return (
        ".." not in address
        and not domain.startswith(".")
        and text.strip().endswith((address, f"<{address}>"))
    )


def is_mac(text: str) -> bool:
    for separator, width in ((":", 2), ("-", 2), (".", 4)):
        parts = text.split(separator)
        if len(parts) > 1 and len(parts) * width // 2 in (6, 8, 20):
            return all(re.fullmatch(rf"{_HEX}{{{width}}}", part) for part in parts)
    return False


def is_ipv4(text: str) -> bool:
    return "." in text and names.parse_ip_sloppy(text) is not None


def is_ipv6(text: str) -> bool:
    if ":" not in text:
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def is_cidr(text: str) -> bool:
    return not names.is_legacy_cidr(text)


def is_base64(text: str) -> bool:
    if not _BASE64.fullmatch(text):
        return False
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def is_isbn10(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"(?:[0-9]{9}X|[0-9]{10})", digits):
        return False
    values = [10 if digit == "X" else int(digit) for digit in digits]
    return sum((place + 1) * value for place, value in enumerate(values)) % 11 == 0


def is_isbn13(text: str) -> bool:
    digits = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"[0-9]{13}", digits):
        return False
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return total % 10 == 0


def is_credit_card(text: str) -> bool:
    digits = re.sub(r"[^0-9]+", "", text)
    if not _CARD.fullmatch(digits):
        return False
    return sum(_luhn(digits)) % 10 == 0


def _luhn(digits: str) -> Iterator[int]:
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        yield value - 9 if value > 9 else value


def _uuid(version: str, variant: str = "") -> Callable[[str], bool]:
    def check(text: str) -> bool:
        found = _UUID.fullmatch(text)
        if found is None or (version and found[1][0] != version):
            return False
        return not variant or found[2][0] in variant

    return check


def _full(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


def _named(check: Callable[[str], list[str]]) -> Callable[[str], bool]:
    return lambda text: not check(text)


# By the name without dashes, which is how names are compared.
FORMATS: Final[dict[str, Callable[[str], bool]]] = {
    "bsonobjectid": _full(_BSON),
    "byte": is_base64,
    "cidr": is_cidr,
    "creditcard": is_credit_card,
    "date": is_date,
    "datetime": is_datetime,
    "duration": is_duration,
    "email": is_email,
    "hexcolor": _full(_COLOR),
    "hostname": is_hostname,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "isbn": lambda text: is_isbn10(text) or is_isbn13(text),
    "isbn10": is_isbn10,
    "isbn13": is_isbn13,
    "k8slongname": _named(names.is_dns1123_subdomain),
    "k8sshortname": _named(names.is_dns1123_label),
    "mac": is_mac,
    "password": lambda text: True,
    "rgbcolor": _full(_RGB),
    "ssn": _full(_SSN),
    "uri": is_uri,
    "uuid": _uuid(""),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4", "89abAB"),
    "uuid5": _uuid("5", "89abAB"),
}


def known(schema: dict[str, Any]) -> str:
    """The schema's format where it is one for the schema's type, else ""."""
    name: str = schema.get("format", "")
    kind = schema.get("type", "")
    if kind in ("", "string"):
        return name if name.replace("-", "") in FORMATS else ""
    if kind == "integer":
        return name if name in ("int32", "int64") else ""
    if kind == "number":
        return name if name in ("float", "double") else ""
    return ""


def check(name: str) -> Callable[[str], bool] | None:
    """What accepts texts of the format; None for an unknown one."""
    return FORMATS.get(name.replace("-", ""))

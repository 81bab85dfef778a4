"""Named formats: ``format.dns1123Label().validate('my-name')``.

Out: ``OVERLOADS``, ``FORMATS``. Called by: ``versions``. Rules: apiserver
``pkg/cel/library/format``; the messages are those of apimachinery's validation.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

from .. import times
from .. import types as t
from ..functions import Overload, define, method
from ..values import NONE, Opaque, Optional
from . import urls

_FORMAT: Final = t.struct("kubernetes.NamedFormat")
_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_UUID: Final = re.compile(
    r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.ASCII | re.IGNORECASE
).fullmatch

Check = Callable[[str], list[str]]


class Format(Opaque):
    """A format: its name, what it finds wrong, and the length that stands for its expression."""

    __slots__ = ("check", "name", "regex_size")
    type_name = "kubernetes.NamedFormat"

    def __init__(self, name: str, check: Check, regex_size: int) -> None:
        self.name = name
        self.check = check
        self.regex_size = regex_size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Format) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} characters"


def _regex_error(message: str, pattern: str, *examples: str) -> str:
    quoted = " or ".join(f"'{e}', " for e in examples)
    return f"{message} (e.g. {quoted}regex used for validation is '{pattern}')"


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.ASCII) is not None


def _size(text: str) -> int:
    return len(text.encode())


def _dns_label(text: str) -> list[str]:
    out = [_too_long(63)] if _size(text) > 63 else []
    if not _matches(_LABEL, text):
        if _matches(_SUBDOMAIN, text):
            out.append("must not contain dots")
        else:
            out.append(
                _regex_error(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters "
                    "or '-', and must start and end with an alphanumeric character",
                    _LABEL,
                    "my-name",
                    "123-abc",
                )
            )
    return out


def _dns_subdomain(text: str) -> list[str]:
    out = [_too_long(253)] if _size(text) > 253 else []
    if not _matches(_SUBDOMAIN, text):
        out.append(
            _regex_error(
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
                "characters, '-' or '.', and must start and end with an alphanumeric character",
                _SUBDOMAIN,
                "example.com",
            )
        )
    return out


def _dns_1035(text: str) -> list[str]:
    out = [_too_long(63)] if _size(text) > 63 else []
    if not _matches(_LABEL_1035, text):
        out.append(
            _regex_error(
                "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start "
                "with an alphabetic character, and end with an alphanumeric character",
                _LABEL_1035,
                "my-name",
                "abc-123",
            )
        )
    return out


_ALNUM: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character"
)


def _qualified_name(text: str) -> list[str]:
    out: list[str] = []
    parts = text.split("/")
    if len(parts) > 2:
        message = _regex_error(f"a valid label key {_ALNUM}", _NAME, "MyName", "my.name", "123-abc")
        return [
            message + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    if len(parts) == 2:
        if not parts[0]:
            out.append("prefix part must be non-empty")
        else:
            out += [f"prefix part {m}" for m in _dns_subdomain(parts[0])]
    name = parts[-1]
    if not name:
        out.append("name part must be non-empty")
    elif _size(name) > 63:
        out.append(f"name part {_too_long(63)}")
    if not _matches(_NAME, name):
        out.append("name part " + _regex_error(_ALNUM, _NAME, "MyName", "my.name", "123-abc"))
    return out


def _label_value(text: str) -> list[str]:
    out = [_too_long(63)] if _size(text) > 63 else []
    if not _matches(_VALUE, text):
        out.append(
            _regex_error(
                "a valid label must be an empty string or consist of alphanumeric characters, '-', "
                "'_' or '.', and must start and end with an alphanumeric character",
                _VALUE,
                "MyValue",
                "my_value",
                "12345",
            )
        )
    return out


def _prefix(check: Check) -> Check:
    """For prefixes of generated names, which may end with a dash."""
    return lambda s: check(s[:-2] + "a" if len(s) > 1 and s.endswith("-") else s)


def _uri(text: str) -> list[str]:
    detail = urls.problem(text)
    return [detail] if detail is not None else []


def _uuid(text: str) -> list[str]:
    return [] if _UUID(text) else ["does not match the UUID format"]


def _byte(text: str) -> list[str]:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ["invalid base64"]
    return [] if text else ["invalid base64"]


def _date(text: str) -> list[str]:
    try:
        times.parse_date(text)
    except ValueError:
        return ["invalid date"]
    return []


_DATETIME: Final = re.compile(
    r"([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))", re.ASCII
).fullmatch


def _datetime(text: str) -> list[str]:
    date, sep, clock = text.lower().partition("t")
    wrong = ["invalid datetime"]
    if not sep or len(text) < 4 or _date(date):
        return wrong
    m = _DATETIME(clock)
    if m is None or int(m[1]) > 23 or int(m[2]) > 59 or int(m[3]) > 59:
        return wrong
    return []


_TIME_REGEX: Final = 71
FORMATS: Final[dict[str, Format]] = {
    "dns1123Label": Format("DNS1123Label", _dns_label, 30),
    "dns1123Subdomain": Format("DNS1123Subdomain", _dns_subdomain, 60),
    "dns1035Label": Format("DNS1035Label", _dns_1035, 30),
    "qualifiedName": Format("QualifiedName", _qualified_name, 60),
    "dns1123LabelPrefix": Format("DNS1123LabelPrefix", _prefix(_dns_label), 30),
    "dns1123SubdomainPrefix": Format("DNS1123SubdomainPrefix", _prefix(_dns_subdomain), 60),
    "dns1035LabelPrefix": Format("DNS1035LabelPrefix", _prefix(_dns_1035), 30),
    "labelValue": Format("LabelValue", _label_value, 40),
    "uri": Format("URI", _uri, 1103),
    "uuid": Format("uuid", _uuid, 70),
    "byte": Format("byte", _byte, 84),
    "date": Format("date", _date, _TIME_REGEX),
    "datetime": Format("datetime", _datetime, _TIME_REGEX),
}


def _named(name: str) -> Optional:
    found = FORMATS.get(name)
    return NONE if found is None else Optional(found)


def _validate(format_: Format, text: str) -> Optional:
    wrong = format_.check(text)
    return Optional(wrong) if wrong else NONE


def _constant(format_: Format) -> Callable[[], Format]:
    return lambda: format_


OVERLOADS: Final[list[Overload]] = [
    method(
        "validate",
        "format-validate",
        (_FORMAT, t.STRING),
        t.optional_of(t.LIST_STRING),
        _validate,
    ),
    define("format.named", "format-named", (t.STRING,), t.optional_of(_FORMAT), _named),
    *(define(f"format.{n}", f"format.{n}", (), _FORMAT, _constant(f)) for n, f in FORMATS.items()),
]

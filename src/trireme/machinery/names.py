"""The syntaxes of names, keys, values and addresses, each with upstream's words for what is wrong.

In: one text. Out: a list of error messages, empty when the text is fine; a rule wraps each in
``field.invalid``. Called by: validation in ``api/``, ``labels``, the CLI. Rules:
apimachinery ``util/validation`` and ``api/validate/content``; concepts/overview/.../names.md.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from trireme.machinery import gotext

_LABEL_1123: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_1123_UNDERSCORE: Final = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL_1123}(\.{_LABEL_1123})*"
_SUBDOMAIN_UNDERSCORE: Final = rf"{_LABEL_1123_UNDERSCORE}(\.{_LABEL_1123_UNDERSCORE})*"
_WILDCARD: Final = rf"\*\.{_SUBDOMAIN}"
_LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_KEY_NAME: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = f"({_KEY_NAME})?"
_C_IDENTIFIER: Final = "[A-Za-z_][A-Za-z0-9_]*"
_PERCENT: Final = "[0-9]+%"
_HTTP_HEADER: Final = "[-A-Za-z0-9]+"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"
_CONDITION_REASON: Final = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_HTTP_PATH: Final = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"

# What is matched: the published syntax, without its groups' cost, and to the very end of the text.
_label_1123: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?\Z").match
_subdomain: Final = re.compile(
    r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\Z"
).match
_subdomain_caseless: Final = re.compile(rf"(?i:{_SUBDOMAIN})\Z", re.ASCII).match
_subdomain_underscore: Final = re.compile(rf"{_SUBDOMAIN_UNDERSCORE}\Z").match
_wildcard: Final = re.compile(rf"{_WILDCARD}\Z").match
_label_1035: Final = re.compile(rf"{_LABEL_1035}\Z").match
_key_name: Final = re.compile(r"(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z").match
_value: Final = re.compile(r"(?:(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z").match
_c_identifier: Final = re.compile(rf"{_C_IDENTIFIER}\Z").match
_percent: Final = re.compile(rf"{_PERCENT}\Z").match
_http_header: Final = re.compile(rf"{_HTTP_HEADER}\Z").match
_relaxed_env_name: Final = re.compile(r"[ -<>-~]*\Z").match
_config_key: Final = re.compile(rf"{_CONFIG_KEY}\Z").match
_http_path: Final = re.compile(rf"{_HTTP_PATH}\Z").match
_condition_reason: Final = re.compile(rf"{_CONDITION_REASON}\Z").match
_port_name_characters: Final = re.compile(r"[-a-z0-9]+\Z").match
_letter: Final = re.compile("[a-z]").search

_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
    "'-' or '.', and must start and end with an alphanumeric character"
)
_KEY_TEXT: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)

MAX_GENERATE_BASE: Final = 58


def generate_name(base: str, suffix: str) -> str:
    """``base``, cut to 58 characters, and the random ``suffix`` that the caller drew."""
    return base[:MAX_GENERATE_BASE] + suffix


def is_dns1123_label(text: str) -> list[str]:
    """Namespace, container, volume names: up to 63 of ``[a-z0-9-]``."""
    errs = _at_most(text, 63)
    if not _label_1123(text):
        if _subdomain(text):
            errs.append("must not contain dots")
        else:
            what = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "
                "'-', and must start and end with an alphanumeric character"
            )
            errs.append(_regex(what, _LABEL_1123, "my-name", "123-abc"))
    return errs


def is_dns1123_subdomain(text: str) -> list[str]:
    """The names of most kinds: labels joined by dots, up to 253."""
    errs = _at_most(text, 253)
    if not _subdomain(text):
        errs.append(_regex(_SUBDOMAIN_TEXT, _SUBDOMAIN, "example.com"))
    return errs


def is_dns1123_subdomain_caseless(text: str) -> list[str]:
    """As the subdomain, capitals allowed: CSI and DRA driver names."""
    errs = [] if len(text.encode()) <= 253 else ["must be no more than 253 bytes"]
    if not _subdomain_caseless(text):
        what = (
            "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        errs.append(_regex(what, _SUBDOMAIN, "Example.com"))
    return errs


def is_dns1123_subdomain_with_underscore(text: str) -> list[str]:
    """As the subdomain, ``_`` allowed: DNS search domains."""
    errs = _at_most(text, 253)
    if not _subdomain_underscore(text):
        what = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
            "'_', '-' or '.', and must start and end with an alphanumeric character"
        )
        errs.append(_regex(what, _SUBDOMAIN_UNDERSCORE, "example.com"))
    return errs


def is_wildcard_dns1123_subdomain(text: str) -> list[str]:
    """``*.`` and a subdomain: Ingress hosts."""
    errs = _at_most(text, 253)
    if not _wildcard(text):
        what = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS "
            "subdomain, which must consist of lower case alphanumeric characters, '-' or '.' "
            "and end with an alphanumeric character"
        )
        errs.append(_regex(what, _WILDCARD, "*.example.com"))
    return errs


def is_dns1035_label(text: str) -> list[str]:
    """As the 1123 label, but it starts with a letter."""
    errs = _at_most(text, 63)
    if not _label_1035(text):
        what = (
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
            "start with an alphabetic character, and end with an alphanumeric character"
        )
        errs.append(_regex(what, _LABEL_1035, "my-name", "abc-123"))
    return errs


def mask_trailing_dash(name: str) -> str:
    """``name`` as a generateName is validated: something will follow a trailing dash."""
    return name[:-2] + "a" if len(name) > 1 and name.endswith("-") else name


def is_qualified_name(text: str) -> list[str]:
    """Label and annotation keys, resource names, finalizers: ``[subdomain/]name``."""
    if _key_name(text) and len(text) <= 63:
        return []
    errs: list[str] = []
    parts = text.split("/")
    if len(parts) > 2:
        syntax = _regex(_KEY_TEXT, _KEY_NAME, "MyName", "my.name", "123-abc")
        return [
            f"a valid label key {syntax} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    if len(parts) == 2:
        prefix = parts[0]
        if not prefix:
            errs.append("prefix part must be non-empty")
        else:
            if len(prefix.encode()) > 253:
                errs.append("prefix part must be no more than 253 bytes")
            if not _subdomain(prefix):
                errs.append("prefix part " + _regex(_SUBDOMAIN_TEXT, _SUBDOMAIN, "example.com"))
    name = parts[-1]
    if not name:
        errs.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        errs.append("name part must be no more than 63 bytes")
    if not _key_name(name):
        errs.append("name part " + _regex(_KEY_TEXT, _KEY_NAME, "MyName", "my.name", "123-abc"))
    return errs


def is_label_value(text: str) -> list[str]:
    """A label's value: empty, or up to 63 of ``[A-Za-z0-9_.-]``."""
    errs = [] if len(text.encode()) <= 63 else ["must be no more than 63 bytes"]
    if not _value(text):
        what = (
            "a valid label must be an empty string or consist of alphanumeric characters, '-', "
            "'_' or '.', and must start and end with an alphanumeric character"
        )
        errs.append(_regex(what, _VALUE, "MyValue", "my_value", "12345"))
    return errs


def is_path_segment(name: str) -> list[str]:
    """A name that can stand in a URL: not ``.`` or ``..``, without ``/`` and ``%``."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return is_path_segment_prefix(name)


def is_path_segment_prefix(name: str) -> list[str]:
    """As the path segment, for a name to which something is appended."""
    return [f"may not contain '{illegal}'" for illegal in "/%" if illegal in name]


def is_c_identifier(text: str) -> list[str]:
    if _c_identifier(text):
        return []
    what = (
        "a valid C identifier must start with alphabetic character or '_', followed by a string "
        "of alphanumeric characters or '_'"
    )
    return [_regex(what, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")]


def is_relaxed_env_var_name(text: str) -> list[str]:
    """Any printable ASCII but ``=``."""
    if not text:
        return ["environment variable name must be non-empty"]
    if _relaxed_env_name(text):
        return []
    return [
        "a valid environment variable name must consist only of printable ASCII characters "
        "other than '='"
    ]


def is_config_key(text: str) -> list[str]:
    """A key of a ConfigMap or Secret: also a safe file name."""
    errs = _at_most(text, 253)
    if not _config_key(text):
        what = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        errs.append(_regex(what, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    return errs + _has_backsteps(text)


def is_port_name(text: str) -> list[str]:
    """A container port's name (RFC 6335, lower case)."""
    errs = _at_most(text, 15)
    if not _port_name_characters(text):
        errs.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _letter(text):
        errs.append("must contain at least one letter (a-z)")
    if "--" in text:
        errs.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        errs.append("must not begin or end with a hyphen")
    return errs


def is_port_number(number: int) -> list[str]:
    return is_in_range(number, 1, 65535)


def is_user_id(number: int) -> list[str]:
    return is_in_range(number, 0, 2**31 - 1)


def is_group_id(number: int) -> list[str]:
    return is_in_range(number, 0, 2**31 - 1)


def is_in_range(number: int, low: int, high: int) -> list[str]:
    """``number`` between ``low`` and ``high``, both included."""
    return [] if low <= number <= high else [f"must be between {low} and {high}, inclusive"]


def is_percent(text: str) -> list[str]:
    if _percent(text):
        return []
    what = "a valid percent string must be a numeric string followed by an ending '%'"
    return [_regex(what, _PERCENT, "1%", "93%")]


def is_http_header_name(text: str) -> list[str]:
    if _http_header(text):
        return []
    what = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [_regex(what, _HTTP_HEADER, "X-Header-Name")]


def is_condition_reason(text: str) -> list[str]:
    """The reason of a metav1 condition: one word for programs."""
    if _condition_reason(text):
        return []
    what = (
        "a condition reason must start with alphabetic character, optionally followed by a string "
        "of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'"
    )
    examples = ("my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB")
    return [_regex(what, _CONDITION_REASON, *examples)]


def is_fully_qualified_name(text: str) -> list[str]:
    """A subdomain of three labels or more. An empty text is the caller's ``required``."""
    errs = is_dns1123_subdomain(text)
    if errs:
        return [",".join(errs)]
    if text.count(".") < 2:
        return ["should be a domain with at least three segments separated by dots"]
    return []


def is_fully_qualified_domain_name(text: str) -> list[str]:
    """A subdomain of two labels or more, a trailing dot allowed."""
    text = text.removesuffix(".")
    errs = is_dns1123_subdomain(text)
    if errs:
        return [",".join(errs)]
    labels = text.split(".")
    if len(labels) < 2:
        return ["should be a domain with at least two segments separated by dots"]
    for label in labels:
        errs = is_dns1123_label(label)
        if errs:
            return [",".join(errs)]
    return []


def is_domain_prefixed_path(text: str) -> list[str]:
    """``acme.io/foo``: signer names, controller names."""
    host, slash, path = text.partition("/")
    if not slash or not host or not path:
        return ['must be a domain-prefixed path (such as "acme.io/foo")']
    errs = is_dns1123_subdomain(host)
    if not _http_path(path):
        errs.append(_regex("Invalid path", _HTTP_PATH))
    return errs


def is_ip(text: str) -> list[str]:
    """An address in canonical form: what new fields demand."""
    errs = is_legacy_ip(text)
    if errs:
        return errs
    canonical = str(ipaddress.ip_address(text))
    return [] if text == canonical else [f"must be in canonical form ({gotext.quote(canonical)})"]


def is_legacy_ip(text: str) -> list[str]:
    """An address as fields older than v1.33 take it (strict form, the gate's default)."""
    address = parse_ip_sloppy(text)
    if address is None:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    try:
        strict = ipaddress.ip_address(text)
    except ValueError:
        return ["must not have leading 0s"]
    if isinstance(strict, ipaddress.IPv6Address) and strict.ipv4_mapped is not None:
        return ["must not be an IPv4-mapped IPv6 address"]
    return []


def is_cidr(text: str) -> list[str]:
    """A network in canonical form."""
    errs = is_legacy_cidr(text)
    if errs:
        return errs
    canonical = str(ipaddress.ip_network(text))
    return [] if text == canonical else [f"must be in canonical form ({gotext.quote(canonical)})"]


def is_legacy_cidr(text: str) -> list[str]:
    """A network as fields older than v1.33 take it (strict form, the gate's default)."""
    address_text, slash, prefix = text.partition("/")
    address = parse_ip_sloppy(address_text)
    if not slash or address is None or not prefix.isascii() or not prefix.isdigit():
        return [_CIDR_TEXT]
    if int(prefix[-9:]) > address.max_prefixlen or len(prefix.lstrip("0")) > 3:
        return [_CIDR_TEXT]
    strict = parse_ip_strict(address_text)
    if strict is None or (len(prefix) > 1 and prefix[0] == "0"):
        return ["must not have leading 0s in IP or prefix length"]
    if isinstance(strict, ipaddress.IPv6Address) and strict.ipv4_mapped is not None:
        return ["must not have an IPv4-mapped IPv6 address"]
    if ipaddress.ip_interface(text).network.network_address != strict:
        return ["must not have bits set beyond the prefix length"]
    return []


def parse_ip_strict(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, or None; leading zeros are refused."""
    if "%" in text:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def parse_ip_sloppy(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address, or None; leading zeros in IPv4 are read as decimal, as old objects have them."""
    if ":" in text:
        head, colon, tail = text.rpartition(":")
        if "." in tail:
            text = head + colon + _without_zeros(tail)
    else:
        text = _without_zeros(text)
    return parse_ip_strict(text)


_CIDR_TEXT: Final = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def _without_zeros(text: str) -> str:
    parts = text.split(".")
    if all(part.isascii() and part.isdigit() for part in parts):
        return ".".join(part.lstrip("0") or "0" for part in parts)
    return text


def _at_most(text: str, limit: int) -> list[str]:
    # Upstream counts bytes and says characters; only what fails the syntax anyway can differ.
    fits = len(text) <= limit and (text.isascii() or len(text.encode()) <= limit)
    return [] if fits else [f"must be no more than {limit} characters"]


def _has_backsteps(text: str) -> list[str]:
    if text in (".", ".."):
        return [f"must not be '{text}'"]
    return ["must not start with '..'"] if text.startswith("..") else []


def _regex(what: str, syntax: str, *examples: str) -> str:
    if not examples:
        return f"{what} (regex used for validation is '{syntax}')"
    quoted = " or ".join(f"'{example}', " for example in examples)
    return f"{what} (e.g. {quoted}regex used for validation is '{syntax}')"

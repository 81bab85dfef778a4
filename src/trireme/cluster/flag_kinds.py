"""Kinds of values that flags of components take.

In: a flag's text. Out: its value; ValueError with the rule.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trireme.cluster.flags import Kind
from trireme.kit import pki
from trireme.machinery import names, time


def duration(least: float = 0.0) -> Kind:
    """Go's form, ``1m30s``, in seconds."""

    def parse(text: str) -> float:
        seconds = time.parse_duration(text)
        if seconds < least:
            raise ValueError(f"must not be less than {time.format_duration(least)}")
        return seconds

    return Kind("duration", parse, time.format_duration)


def count(least: int = 0, most: int = 2**31 - 1) -> Kind:
    """A whole number."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise ValueError("must be a whole number")
        if not least <= int(text) <= most:
            raise ValueError(f"must be from {least} to {most}")
        return int(text)

    return Kind("int", parse)


def matching(name: str, pattern: str, rule: str) -> Kind:
    """A text that matches; ``rule`` describes it to users."""
    return Kind(name, functools.partial(_matching, pattern, rule))


def several(kind: Kind) -> Kind:
    """A list of them, with commas between, or the flag repeated."""

    def parse(text: str) -> tuple[Any, ...]:
        return tuple(kind.parse(item) for item in text.split(","))

    def show(values: tuple[Any, ...]) -> str:
        return ",".join(map(kind.show, values))

    return Kind(f"{kind.name}s", parse, show, several=True)


def mapping(name: str, kind: Kind) -> Kind:
    """``key=value``, with commas between, or the flag repeated: pairs."""

    def parse(text: str) -> tuple[tuple[str, Any], ...]:
        return tuple(map(pair, text.split(",")))

    def pair(text: str) -> tuple[str, Any]:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ValueError("must be KEY=VALUE")
        return key.strip(), kind.parse(value.strip())

    def show(pairs: tuple[tuple[str, Any], ...]) -> str:
        return ",".join(f"{key}={kind.show(value)}" for key, value in pairs)

    return Kind(name, parse, show, several=True)


def one_of(values: Mapping[str, Any]) -> Kind:
    """One of these words, and what it stands for."""

    def parse(text: str) -> Any:
        if text not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return values[text]

    def show(value: Any) -> str:
        return next(word for word, meaning in values.items() if meaning == value)

    return Kind("string", parse, show)


def content(name: str, check: Callable[[bytes], Any]) -> Kind:
    """A file: its content, after ``check``. Never shown."""

    def parse(text: str) -> Any:
        return check(_file(text).read_bytes())

    return Kind(name, parse, lambda value: "")


def _matching(pattern: str, rule: str, text: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ValueError(rule)
    return text


def _bool(text: str) -> bool:
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError("must be true or false")


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise ValueError("must be a number that is not negative")
    return float(text)


def _share(text: str) -> float:
    if (share := _number(text)) > 1.0:
        raise ValueError("must be from 0 to 1")
    return share


def _cidr(text: str) -> str:
    return str(ipaddress.ip_network(text))


def _ip(text: str) -> str:
    if names.parse_ip_strict(text) is None:
        raise ValueError("must be an IPv4 or IPv6 address")
    return text


def _file(text: str) -> Path:
    path = Path(text).absolute()
    if not path.is_file():
        raise ValueError("is no file" if path.exists() else "does not exist")
    return path


def _certificates(data: bytes) -> bytes:
    pki.check_certificates(data)
    return data


def _private_key(data: bytes) -> bytes:
    try:
        pki.public_key(data)
    except (ValueError, TypeError):
        raise ValueError("holds no private key in PEM") from None
    return data


def _subdomain(text: str) -> str:
    if problems := names.is_dns1123_subdomain(text):
        raise ValueError(problems[0])
    return text


BOOL = Kind("bool", _bool, lambda value: "true" if value else "false", alone="true")
NUMBER = Kind("float", _number, lambda value: f"{value:g}")
SHARE = Kind("float", _share, NUMBER.show)
CIDRS = several(Kind("cidr", _cidr))
ADDRESS = Kind("ip", _ip)
FILE = Kind("file", _file, lambda value: str(value or ""))
CERTIFICATES = content("file", _certificates)
PRIVATE_KEY = content("file", _private_key)
NAME = Kind("name", _subdomain)

"""Parameter types of the commands: each value is checked before a command does anything.

A bad value is click's usage error: the option, the value, and the rule.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from trireme.cluster import settings
from trireme.cluster.hosts import names
from trireme.machinery import names as objects
from trireme.machinery import time


class _Folder(click.Path):
    """A folder that exists or can be created; not an empty text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("'': must be a path", param, ctx)
        return super().convert(value, param, ctx)


class Checked(click.ParamType):  # type: ignore[type-arg]  # not generic in older clicks
    """A text that ``check`` converts to a value. It raises ValueError with the rule."""

    def __init__(self, name: str, check: Callable[[str], Any]) -> None:
        self.name = name
        self._check = check

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._check(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


def _address(text: str) -> str:
    if objects.parse_ip_strict(text) is None:
        raise ValueError("must be an IPv4 or IPv6 address")
    return text


def _labels(text: str) -> dict[str, str]:
    found = {}
    for item in text.split(",") if text else []:
        key, equals, value = item.partition("=")
        problems = [*objects.is_qualified_name(key), *objects.is_label_value(value)]
        if not equals or problems:
            raise ValueError(problems[0] if problems else "must be KEY=VALUE")
        found[key] = value
    return found


def _address_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("must be ADDRESS:PORT")
    return _address(host), int(port)


def _cidr(text: str) -> str:
    return str(ipaddress.ip_network(text))


def _ipv4_cidr(text: str) -> str:
    return str(ipaddress.IPv4Network(text))


def _subdomain(text: str) -> str:
    if problems := objects.is_dns1123_subdomain(text):
        raise ValueError(problems[0])
    return text


def _node(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not equals:
        raise ValueError("must be NAME=ADDRESS")
    return _subdomain(name), _address(address)


def _seconds(text: str) -> float:
    seconds = time.parse_duration(text)
    if not 0 < seconds < 1e9:
        raise ValueError("must be more than none and less than 30 years")
    return seconds


def _image(text: str) -> str:
    # Only for the commands that need it.
    from trireme.cluster.images import reference

    return reference.normalise(text)


def _matching(pattern: str, rule: str, text: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ValueError(rule)
    return text


def apiserver_args(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """The API server's flags, each as NAME=VALUE, checked one by one and together."""
    if not values:
        return ()
    # A large import, and only for this.
    from trireme.cluster import apiserver_flags

    try:
        args = apiserver_flags.read(values)
        apiserver_flags.check(args)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    return args


def matching(name: str, pattern: str, rule: str) -> Checked:
    """A text that matches the pattern; ``rule`` describes it to users."""
    return Checked(name, functools.partial(_matching, pattern, rule))


CLUSTER = Checked("name", names.cluster)
DATASTORE = Checked("datastore", settings.check_datastore)
LOCAL_DATASTORE = Checked("datastore", settings.check_local_datastore)
ADDRESS = Checked("address", _address)
LABELS = Checked("labels", _labels)
ADDRESS_PORT = Checked("address:port", _address_port)
CIDR = Checked("cidr", _cidr)
IMAGE = Checked("image", _image)
IPV4_CIDR = Checked("cidr", _ipv4_cidr)
SUBDOMAIN = Checked("name", _subdomain)
NODE = Checked("name=address", _node)
PORT = click.IntRange(1, 65535)
SECONDS = Checked("duration", _seconds)
PROVIDER_ID = matching("id", r"[^/:\s]+://\S+", "must be PROVIDER://ID")
TABLE = matching(
    "name",
    r"[A-Za-z][A-Za-z0-9_-]{0,62}",
    "must begin with a letter and have at most 63 letters, digits, '-' and '_'",
)
RUNTIME = matching("socket", r"unix:///[^\0]+", "must be unix:///PATH")
ABSOLUTE = matching("path", r"/[^\0\n]*", "must be an absolute path")
FOLDER = _Folder(file_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
COMPONENT = matching("component", r"[a-z]+(\.node-[0-9]+)?", "must be COMPONENT or COMPONENT.NODE")
VARIABLE = matching("variable", r"[^=\0]+=[^\0]*", "must be NAME=VALUE")
USER = matching(
    "user", r"[a-z0-9_][a-z0-9_.-]*(:[a-z0-9_][a-z0-9_.-]*)?", "must be USER or USER:GROUP"
)
PACKAGE = matching(
    "package", r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?", "must be the name of a Debian package"
)
# Passed to a program unchanged; the kernel accepts no NUL in it.
WORD = matching("word", r"[^\0]*", "must not hold a NUL")

NAME = click.option(
    "--name", type=CLUSTER, default=settings.DEFAULT_NAME, show_default=True, help="The cluster."
)

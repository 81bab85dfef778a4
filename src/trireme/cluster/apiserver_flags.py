"""The flags of the API server: those of all areas, composed.

In: flags as ``NAME=VALUE``, of ``trireme apiserver`` or of ``up --kube-apiserver-arg``. Out: the
configuration with what they say. An area is a file ``commands/_apiserver_<area>.py`` with its
``AREA``. Upstream: https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trireme.cluster import commands, flags
from trireme.cluster.flags import Flag, Given, Groups, Row

if TYPE_CHECKING:
    from trireme.apiserver.config import ApiServerConfig

_PREFIX = "_apiserver_"


@dataclass(frozen=True)
class Area:
    """Flags in ``groups``, whose rows lead to attributes of ``defaults``, a dataclass.

    ``configure(options, config)`` returns the config with what the options say; it may read files.
    ValueError for what does not fit, beginning with the flag's name.
    """

    groups: Groups
    defaults: Any
    configure: Callable[[Any, ApiServerConfig], ApiServerConfig]


@cache
def areas() -> Sequence[Area]:
    """All areas, by the names of their files."""
    names = sorted(info.name for info in pkgutil.iter_modules(commands.__path__))
    return [
        importlib.import_module(f"{commands.__name__}.{name}").AREA
        for name in names
        if name.startswith(_PREFIX)
    ]


def rows() -> Iterable[Row]:
    """The flags of all areas."""
    return (row for area in areas() for group in area.groups.values() for row in group)


class Command(click.Command):
    """A command with the API server's flags besides its own options. Its callback gets ``args``:
    the flags that were given, as ``configured`` takes them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own = list(self.params)
        self.params += [flags.option(row) for row in rows()]
        run = self.callback
        assert run is not None

        def callback(**values: Any) -> Any:
            given = [
                f"{row.name}={_kept(item)}"
                for row in rows()
                for item in values.pop(flags.parameter(row))
            ]
            return run(**values, args=tuple(given))

        self.callback = callback

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Options"):
            formatter.write_dl(
                [record for item in self.own if (record := item.get_help_record(ctx)) is not None]
            )
        groups: dict[str, list[Row]] = {}
        defaults: dict[str, Any] = {}
        for area in areas():
            for name, some in area.groups.items():
                groups.setdefault(name, []).extend(some)
                defaults |= {row.name: area.defaults for row in some}
        flags.write_help(groups, defaults, formatter)


def read(args: Iterable[str]) -> tuple[str, ...]:
    """Flags that a user wrote as ``NAME=VALUE``, checked each for itself; paths are absolute.
    ValueError."""
    return tuple(f"{row.name}={_kept(item)}" for row, item in _parsed(args))


def configured(config: ApiServerConfig, args: Iterable[str]) -> ApiServerConfig:
    """The config with what the flags say. ValueError."""
    values: dict[str, list[Given]] = {}
    for row, item in _parsed(args):
        values.setdefault(row.name, []).append(item)
    served: dict[str, str] = {}
    for area in areas():
        mine = [row for group in area.groups.values() for row in group if isinstance(row, Flag)]
        found: Mapping[str, Any] = {
            row.to: flags.merged(row.kind, values[row.name]).value
            for row in mine
            if row.name in values
        }
        config = area.configure(flags.put(area.defaults, found), config)
        given = {name: items[-1].text for name, items in values.items()}
        served |= flags.texts(area.groups, area.defaults, given)
    return dataclasses.replace(config, flags=served)


def check(args: Iterable[str]) -> None:
    """ValueError for flags with which no API server starts."""
    from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
    from trireme.kit import pki
    from trireme.store.memory import MemoryStore

    keys = ServiceAccountKeys(pki.new_key())
    configured(ApiServerConfig(store=MemoryStore(), service_accounts=keys), args)


def _parsed(args: Iterable[str]) -> Iterable[tuple[Row, Given]]:
    known = {row.name: row for row in rows()}
    for text in args:
        name, equals, value = text.partition("=")
        name = name.removeprefix("--")
        row = known.get(name)
        if row is None:
            raise ValueError(f"unknown flag: --{name}{_hint(name, known)}")
        kind = flags.option(row).type
        assert isinstance(kind, flags.Kind)
        if not equals:
            if kind.alone is None:
                raise ValueError(f"flag needs an argument: --{name}")
            value = kind.alone
        try:
            yield row, Given(value, kind.parse(value))
        except (ValueError, OSError) as error:
            raise ValueError(f"invalid argument {value!r} for --{name}: {error}") from None


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 3)
    return f" (is it {' or '.join(f'--{item}' for item in near)}?)" if near else ""


def _kept(item: Given) -> str:
    """The text with which the value is found again from any folder."""
    return str(item.value) if isinstance(item.value, Path) else item.text

"""Flags of a component as a table, one row for each.

In: rows in groups, and a value object with the defaults. Out: a command that gives the same object
with what was set. A flag of upstream's that is not served has a row that says why, so that none is
ignored. Used by the commands that stand for one of upstream's components. Rules: pflag's texts, as
``--help`` of upstream's components shows them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

import click

T = TypeVar("T")


class Given(NamedTuple):
    """One value of a flag: as it was written, and what it stands for."""

    text: str
    value: Any


class Kind(click.ParamType):  # type: ignore[type-arg]  # not generic in older clicks
    """How a text becomes a value, and back. ``parse`` raises ValueError with the rule. ``several``:
    the flag may be repeated, and each value is one or more of a list. ``alone``: what the flag
    means without a value, None where it needs one."""

    def __init__(
        self,
        name: str,
        parse: Callable[[str], Any],
        show: Callable[[Any], str] = str,
        *,
        several: bool = False,
        alone: str | None = None,
    ) -> None:
        self.name = name
        self.parse = parse
        self.show = show
        self.several = several
        self.alone = alone

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Given:
        try:
            return Given(value, self.parse(value))
        except (ValueError, OSError) as error:
            self.fail(f"{value!r}: {error}", param, ctx)


@dataclasses.dataclass(frozen=True)
class Flag:
    """``to`` is the setting: attributes of the value object, with dots between them."""

    name: str
    to: str
    kind: Kind
    help: str
    short: str = ""
    environment: str = ""


@dataclasses.dataclass(frozen=True)
class Refused:
    """A flag of upstream's that is not served. ``accepted`` are values that ask for nothing but
    what is done anyway."""

    name: str
    reason: str
    accepted: Sequence[str] = ()


Row: TypeAlias = Flag | Refused
Groups: TypeAlias = Mapping[str, Sequence[Row]]


class Command(click.Command):
    """``run`` gets the value object, and the texts of the flags that were given."""

    def __init__(
        self,
        groups: Groups,
        defaults: T,
        run: Callable[[T, Mapping[str, str]], None],
        help: str,
    ) -> None:
        self.groups = groups
        self.defaults = defaults

        def callback(**values: Any) -> None:
            given = {
                row.name: merged(row.kind, values[parameter(row)])
                for row in _flags(groups)
                if values[parameter(row)]
            }
            set_to = {row.to: given[row.name].value for row in _flags(groups) if row.name in given}
            try:
                run(put(defaults, set_to), {name: item.text for name, item in given.items()})
            except ValueError as error:
                raise click.UsageError(str(error)) from None

        rows = [row for group in groups.values() for row in group]
        super().__init__(None, params=[option(row) for row in rows], callback=callback, help=help)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        defaults = {row.name: self.defaults for row in _flags(self.groups)}
        write_help(self.groups, defaults, formatter)


def write_help(groups: Groups, defaults: Mapping[str, Any], formatter: click.HelpFormatter) -> None:
    """Describe all flags, with the ``defaults`` of each by its name; at last, which are refused."""
    for name, rows in groups.items():
        served = [_described(row, defaults[row.name]) for row in rows if isinstance(row, Flag)]
        if served:
            with formatter.section(f"{name} flags"):
                formatter.write_dl(served)
    refused = [
        (f"--{row.name}", row.reason)
        for rows in groups.values()
        for row in rows
        if isinstance(row, Refused)
    ]
    if refused:
        with formatter.section("Refused flags, and why"):
            formatter.write_dl(refused)


def at(settings: Any, to: str) -> Any:
    """The setting at ``to``."""
    return functools.reduce(getattr, to.split("."), settings)


def put(settings: T, values: Mapping[str, Any]) -> T:
    """A value object with other settings, by their paths."""
    own: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for to, value in values.items():
        first, dot, rest = to.partition(".")
        if dot:
            inner.setdefault(first, {})[rest] = value
        else:
            own[first] = value
    for first, below in inner.items():
        own[first] = put(getattr(settings, first), below)
    return dataclasses.replace(settings, **own)  # type: ignore[type-var]  # T is a dataclass


def texts(groups: Groups, defaults: Any, given: Mapping[str, str]) -> dict[str, str]:
    """The value of every flag that is served, as a text."""
    return {
        row.name: given.get(row.name, row.kind.show(at(defaults, row.to))) for row in _flags(groups)
    }


def _flags(groups: Groups) -> Iterable[Flag]:
    return (row for rows in groups.values() for row in rows if isinstance(row, Flag))


def parameter(row: Row) -> str:
    """The name of the command's parameter."""
    return row.name.replace("-", "_")


def merged(kind: Kind, found: Sequence[Given]) -> Given:
    """The value of a flag that may have been given several times: all of a list, else the last."""
    if not kind.several:
        return found[-1]
    values = tuple(one for item in found for one in item.value)
    return Given(",".join(item.text for item in found), values)


def option(row: Row) -> click.Option:
    """The option of a command."""
    names = [f"--{row.name}", parameter(row)]
    if isinstance(row, Refused):
        kind = Kind("refused", functools.partial(_refuse, row), alone="true")
        return click.Option(names, type=kind, multiple=True, hidden=True, **_alone(kind))
    if row.short:
        names.append(f"-{row.short}")
    return click.Option(
        names,
        type=row.kind,
        multiple=True,
        envvar=row.environment or None,
        **_alone(row.kind),
    )


def _alone(kind: Kind) -> dict[str, Any]:
    return {} if kind.alone is None else {"is_flag": False, "flag_value": kind.alone}


def _refuse(row: Refused, text: str) -> str:
    if text not in row.accepted:
        raise ValueError(f"not supported: {row.reason}")
    return text


def _described(row: Flag, defaults: Any) -> tuple[str, str]:
    short = f"-{row.short}, " if row.short else ""
    default = row.kind.show(at(defaults, row.to))
    return f"{short}--{row.name} {row.kind.name}", row.help + (
        f"  [default: {default}]" if default else ""
    )

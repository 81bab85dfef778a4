"""A ruleset as a value, and the difference of two as an nftables transaction. Pure.

Chains hold rules, sets and maps hold elements. ``diff`` gives the shortest transaction: deleted
elements, changed chains, added elements, so that a map never refers to a missing chain.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Chain(msgspec.Struct, frozen=True):
    """``hook`` is the text in a base chain's braces, empty for an ordinary chain."""

    rules: tuple[str, ...] = ()
    hook: str = ""


class Set(msgspec.Struct, frozen=True):
    """A set or a verdict map. ``elements`` maps each key to its verdict, "" in a set."""

    kind: str
    declaration: str
    elements: dict[str, str]
    # Filled by the kernel as packets pass; its elements are not compared.
    dynamic: bool = False


class Ruleset(msgspec.Struct, frozen=True):
    """Everything in one table."""

    sets: dict[str, Set]
    chains: dict[str, Chain]


EMPTY = Ruleset({}, {})


def full(family: str, table: str, rules: Ruleset) -> str:
    """The transaction that replaces whatever the table holds."""
    head = f"add table {family} {table}\ndelete table {family} {table}\n"
    return head + f"add table {family} {table}\n" + diff(family, table, EMPTY, rules)


def diff(family: str, table: str, old: Ruleset, new: Ruleset) -> str:
    """The transaction from one ruleset to the other; empty when they are equal."""
    at = f"{family} {table}"
    lines: list[str] = []
    for name, desired in new.sets.items():
        if name not in old.sets:
            lines.append(f"add {desired.kind} {at} {name} {{ {desired.declaration} }}")
    for name, chain in new.chains.items():
        if name not in old.chains:
            hook = f" {{ {chain.hook} }}" if chain.hook else ""
            lines.append(f"add chain {at} {name}{hook}")
    for name, known in old.sets.items():
        desired = new.sets.get(name, Set(known.kind, known.declaration, {}))
        gone = [
            key for key, verdict in known.elements.items() if desired.elements.get(key) != verdict
        ]
        lines += _elements("delete", at, name, ((key, "") for key in gone))
    for name, chain in new.chains.items():
        before = old.chains.get(name)
        if before is not None and before.rules == chain.rules:
            continue
        if before is not None:
            lines.append(f"flush chain {at} {name}")
        lines += [f"add rule {at} {name} {rule}" for rule in chain.rules]
    for name, desired in new.sets.items():
        known_elements = old.sets[name].elements if name in old.sets else {}
        came = [
            (key, verdict)
            for key, verdict in desired.elements.items()
            if known_elements.get(key) != verdict
        ]
        lines += _elements("add", at, name, came)
    stale = [name for name in old.chains if name not in new.chains]
    lines += [f"flush chain {at} {name}" for name in stale]
    lines += [f"delete chain {at} {name}" for name in stale]
    lines += [
        f"delete {known.kind} {at} {name}"
        for name, known in old.sets.items()
        if name not in new.sets
    ]
    return "".join(f"{line}\n" for line in lines)


def _elements(verb: str, at: str, name: str, items: Iterable[tuple[str, str]]) -> list[str]:
    texts = [f"{key} : {verdict}" if verdict else key for key, verdict in items]
    return [
        f"{verb} element {at} {name} {{ {', '.join(texts[start : start + 200])} }}"
        for start in range(0, len(texts), 200)
    ]

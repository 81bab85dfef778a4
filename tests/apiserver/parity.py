"""Upstream's kinds and operations as tables of facts, and what is known to differ from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

DATA = Path(__file__).parent.parent / "data"
# Everything that upstream can serve is on in the tables.
EVERYTHING: dict[str, Any] = {
    "feature_gates": {"AllAlpha": True, "AllBeta": True},
    "runtime_config": {"api/all": True},
}

# Operations that are left out on purpose.
WITHOUT = {
    "/logs/": "the API server has no log files of its own to show",
    "/logs/{logpath}": "the API server has no log files of its own to show",
}


class Kind(NamedTuple):
    """One line of resources.txt."""

    group: str
    version: str
    on: bool
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    categories: tuple[str, ...]
    namespaced: bool
    verbs: tuple[str, ...]
    storage_hash: str

    @property
    def name(self) -> str:
        return f"{self.group}/{self.version}/{self.plural}"


class Operation(NamedTuple):
    """One line of operations.txt."""

    path: str
    method: str
    name: str
    action: str
    kind: str
    parameters: str
    answers: str
    consumes: str
    produces: str

    @property
    def about(self) -> str:
        """The kind's group, version and plural; those of the path where it is of no kind."""
        parts = [
            part
            for part in self.path.replace("/namespaces/{namespace}/", "/").strip("/").split("/")
            if part != "watch"
        ]
        if parts[0] == "api":
            parts[0:1] = ["apis", ""]
        return "/".join(parts[1:4])


def kinds() -> list[Kind]:
    """All kinds of v1.36."""
    found = []
    for line in _lines("resources.txt"):
        group, version, on, kind, plural, singular, short, categories, scope, verbs, _, tag = line
        found.append(
            Kind(
                "" if group == "core" else group,
                version,
                on == "on",
                kind,
                plural,
                singular,
                _many(short),
                _many(categories),
                scope == "namespaced",
                _many(verbs),
                "" if tag == "-" else tag,
            )
        )
    return found


def operations() -> list[Operation]:
    """All operations of v1.36."""
    return [Operation(*line) for line in _lines("operations.txt")]


def _lines(name: str) -> list[list[str]]:
    text = (DATA / name).read_text()
    return [line.split() for line in text.splitlines() if not line.startswith("#")]


def _many(text: str) -> tuple[str, ...]:
    return () if text == "-" else tuple(text.split(","))

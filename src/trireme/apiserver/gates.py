"""Feature gates, and which versions and kinds are served: --feature-gates and --runtime-config.

In: what the operator set. Out: ``Gates``, and whether a ``Resource`` is served. ``gates.txt`` has
v1.36's gates, one a line: name, stage, state, then ``locked`` where upstream's default cannot be
changed and ``switch`` where the gate can be set here too. Its states:

``off``     off by default upstream; here too.
``on``      on by default upstream; its effect is here. Only a switch can be turned off.
``fields``  on by default upstream; here its fields are served and validated, and nothing acts on
            them.
``absent``  on by default upstream; here nothing of it is.
``inner``   on by default upstream, and about upstream's inner workings: no client sees it.

Pure. Upstream: component-base ``featuregate``, apiserver ``server/resourceconfig``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from trireme.machinery.resource import Resource

_ALL: Final = {"AllAlpha": "Alpha", "AllBeta": "Beta"}
_LEVELS: Final = ("api/all", "api/ga", "api/beta", "api/alpha")
_LEVEL: Final = re.compile(r"v\d+(alpha|beta)\d+\Z")


@dataclass(frozen=True)
class Gate:
    """A line of ``gates.txt``."""

    stage: str
    state: str
    locked: bool
    switch: bool


class Gates:
    """The state of every feature gate. ValueError for one that is unknown or cannot be set so.

    AllAlpha and AllBeta set the switches of their stage.
    """

    def __init__(self, settings: Mapping[str, bool]) -> None:
        known = every()
        self._on = {name: gate.state == "on" for name, gate in known.items()}
        for all_of, stage in _ALL.items():
            if all_of in settings:
                for name, gate in known.items():
                    if gate.switch and gate.stage == stage:
                        self._on[name] = settings[all_of]
        for name, on in settings.items():
            if name in _ALL:
                continue
            if name not in known:
                raise ValueError(f"unrecognized feature gate: {name}")
            if problem := _problem(known[name], on):
                text = "true" if on else "false"
                raise ValueError(f"cannot set feature gate {name} to {text}, {problem}")
            if known[name].switch:
                self._on[name] = on

    def on(self, name: str) -> bool:
        """Whether the gate is on and has its effect. KeyError for one that v1.36 does not have."""
        return self._on[name]

    def states(self) -> Iterator[tuple[str, str, bool]]:
        """Name, stage and whether it is on, of every gate; one of upstream's inner workings is."""
        for name, gate in every().items():
            yield name, gate.stage, self._on[name] or gate.state == "inner"


def _problem(gate: Gate, on: bool) -> str:
    """Why the gate cannot be set to ``on``; empty where it can."""
    if gate.locked and on != (gate.state != "off"):
        return f"feature is locked to {'false' if on else 'true'}"
    if gate.switch or gate.state == "inner":
        return ""
    if on:
        return "" if gate.state == "on" else "feature is not implemented"
    return "feature cannot be switched off" if gate.state in ("on", "fields") else ""


def serves(resource: Resource, runtime: Mapping[str, bool], gates: Gates) -> bool:
    """Whether a version of a kind is served. The more specific key wins."""
    if resource.gate and not gates.on(resource.gate):
        return False
    group_version = f"{resource.group}/{resource.version}" if resource.group else "api/v1"
    keys = [f"{group_version}/{resource.plural}", group_version]
    if not resource.group:
        keys += [f"v1/{resource.plural}", "v1"]
    keys += [f"api/{_level(resource.version)}", "api/all"]
    return next((runtime[key] for key in keys if key in runtime), resource.default_on)


def check(runtime: Mapping[str, bool], known: Iterable[Resource]) -> None:
    """ValueError for a key that names no API."""
    known = list(known)
    versions = {resource.api_version for resource in known} | {"api/v1"}
    kinds = {f"{item.api_version}/{item.plural}" for item in known}
    for key in runtime:
        if key not in _LEVELS and key not in versions and key not in kinds:
            raise ValueError(f"unknown api groups {key}")


def _level(version: str) -> str:
    found = _LEVEL.match(version)
    return found[1] if found else "ga"


@cache
def every() -> Mapping[str, Gate]:
    """The gates of v1.36 by name."""
    text = resources.files("trireme.apiserver").joinpath("gates.txt").read_text()
    return {
        name: Gate(stage, state, "locked" in rest, "switch" in rest)
        for name, stage, state, *rest in map(str.split, text.splitlines())
    }

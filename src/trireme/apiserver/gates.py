"""Feature gates, and which versions and kinds are served: --feature-gates and --runtime-config.

In: what the operator set. Out: ``Gates``, and whether a ``Resource`` is served. ``gates.txt`` has
v1.36's gates: name, stage, default, and ``locked`` where the default cannot be changed. Pure.
Upstream: component-base ``featuregate``, apiserver ``server/resourceconfig``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Final

from trireme.machinery.resource import Resource

_ALL: Final = {"AllAlpha": "Alpha", "AllBeta": "Beta"}
_LEVELS: Final = ("api/all", "api/ga", "api/beta", "api/alpha")
_LEVEL: Final = re.compile(r"v\d+(alpha|beta)\d+\Z")


class Gates:
    """The state of every feature gate. ValueError for one that is unknown or locked."""

    def __init__(self, wanted: Mapping[str, bool]) -> None:
        known = _known()
        self._on = {name: on for name, (_, on, _) in known.items()}
        for all_of, stage in _ALL.items():
            if all_of in wanted:
                for name, (its_stage, _, locked) in known.items():
                    if its_stage == stage and not locked:
                        self._on[name] = wanted[all_of]
        for name, on in wanted.items():
            if name in _ALL:
                continue
            if name not in known:
                raise ValueError(f"unrecognized feature gate: {name}")
            if known[name][2] and on != known[name][1]:
                told = "true" if known[name][1] else "false"
                raise ValueError(
                    f"cannot set feature gate {name} to {'true' if on else 'false'}, "
                    f"feature is locked to {told}"
                )
            self._on[name] = on

    def on(self, name: str) -> bool:
        """Whether the gate is on. KeyError for one that v1.36 does not have."""
        return self._on[name]


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
def _known() -> dict[str, tuple[str, bool, bool]]:
    """Gate → stage, default, whether it is locked."""
    text = resources.files("trireme.apiserver").joinpath("gates.txt").read_text()
    rows = [line.split() for line in text.splitlines()]
    return {name: (stage, on == "on", bool(rest)) for name, stage, on, *rest in rows}

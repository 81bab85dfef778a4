"""Levels, versions and the policy of a namespace. Pure.

Upstream: pod-security-admission ``api/helpers``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from trireme.machinery import field
from trireme.machinery.field import FieldError

PRIVILEGED, BASELINE, RESTRICTED = LEVELS = ("privileged", "baseline", "restricted")
# The minor version that "latest" stands for: newer than all.
LATEST: Final = 1 << 31
PREFIX: Final = "pod-security.kubernetes.io/"
_VERSION: Final = re.compile(r"v1\.(0|[1-9][0-9]*)\Z", re.ASCII).match
_BAD_LEVEL: Final = f"must be one of {', '.join(LEVELS)}"
_BAD_VERSION: Final = 'must be "latest" or "v1.x"'
_MODES: Final = ("enforce", "audit", "warn")


class LevelVersion(NamedTuple):
    """A level as a version has it: ``version`` is a minor version, or ``LATEST``."""

    level: str = PRIVILEGED
    version: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.version == LATEST else f'v1.{self.version}'}"

    def same_as(self, other: LevelVersion) -> bool:
        """Whether both demand the same."""
        return self == other or self.level == other.level == PRIVILEGED


class Policy(NamedTuple):
    """What a namespace demands in each mode."""

    enforce: LevelVersion = LevelVersion()
    audit: LevelVersion = LevelVersion()
    warn: LevelVersion = LevelVersion()

    @property
    def is_privileged(self) -> bool:
        """Whether it demands nothing."""
        return all(mode.level == PRIVILEGED for mode in self)

    def same_as(self, other: Policy) -> bool:
        """Whether both demand the same in each mode."""
        return all(a.same_as(b) for a, b in zip(self, other, strict=True))


def strictness(level: str) -> int:
    """Higher levels demand more."""
    return LEVELS.index(level)


def level(text: str) -> str | None:
    """The level of that name, None where there is none."""
    return text if text in LEVELS else None


def version(text: str) -> int | None:
    """The version that ``text`` writes, None where it is none."""
    if text == "latest":
        return LATEST
    found = _VERSION(text)
    return int(found[1]) if found and len(found[1]) <= 18 else None


def policy(labels: Mapping[str, str], defaults: Policy) -> tuple[Policy, list[FieldError]]:
    """The policy that a namespace's labels demand. A policy comes out even where labels are wrong:
    a bad level is restricted for enforce and privileged for others; a bad version is the latest."""
    errs: list[FieldError] = []
    modes: dict[str, LevelVersion] = {}
    given: dict[str, str | None] = {}
    for mode, default in zip(_MODES, defaults, strict=True):
        found = default
        text = labels.get(PREFIX + mode)
        if text is not None:
            given[mode] = level(text)
            if given[mode] is None:
                errs.append(_invalid(mode, text, _BAD_LEVEL))
            bad = RESTRICTED if mode == "enforce" else PRIVILEGED
            found = found._replace(level=given[mode] or bad)
        text = labels.get(f"{PREFIX}{mode}-version")
        if text is not None:
            number = version(text)
            if number is None:
                errs.append(_invalid(f"{mode}-version", text, _BAD_VERSION))
            found = found._replace(version=LATEST if number is None else number)
        modes[mode] = found
    enforce, warn = modes["enforce"], modes["warn"]
    is_given = "warn" not in given and given.get("enforce") is not None
    if is_given and strictness(enforce.level) > strictness(warn.level):
        named = f"{PREFIX}warn-version" in labels
        modes["warn"] = warn._replace(level=enforce.level) if named else enforce
    return Policy(**modes), errs


def default_errors(defaults: Mapping[str, str]) -> list[FieldError]:
    """What is wrong with the defaults of a configuration: by mode, or mode and ``-version``."""
    errs: list[FieldError] = []
    for mode in ("enforce", "warn", "audit"):
        at = field.path("defaults")
        if level(defaults[mode]) is None:
            errs.append(field.invalid(at.child(mode), defaults[mode], _BAD_LEVEL))
        text = defaults[f"{mode}-version"]
        if version(text) is None:
            errs.append(field.invalid(at.child(f"{mode}-version"), text, _BAD_VERSION))
    return errs


def _invalid(name: str, value: str, detail: str) -> FieldError:
    return field.invalid(field.path("metadata", "labels").key(PREFIX + name), value, detail)

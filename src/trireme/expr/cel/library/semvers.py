"""Semantic versions: ``semver('1.2.3').isLessThan(semver('2.0.0'))``.

Out: ``OVERLOADS``. Called by: ``versions``. Rules: apiserver ``pkg/cel/library/semverlib`` (version
1), semver.org 2.0.0, the messages of ``blang/semver``.
"""

from __future__ import annotations

from typing import Final

from .. import types as t
from ..errors import EvalError
from ..functions import Overload, define, method
from ..values import Opaque

_SEMVER: Final = t.struct("kubernetes.Semver")
_DIGITS: Final = frozenset("0123456789")
_ALNUM: Final = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-")
_UINT64: Final = 1 << 64


class Semver(Opaque):
    """``core`` is (major, minor, patch); ``pre`` the identifiers before a release."""

    __slots__ = ("core", "pre")
    type_name = "kubernetes.Semver"

    def __init__(self, core: tuple[int, ...], pre: tuple[int | str, ...]) -> None:
        self.core = core
        self.pre = pre

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self.core == other.core and self.pre == other.pre

    def __hash__(self) -> int:
        return hash((self.core, self.pre))


def _number(text: str, what: str) -> int:
    if not text or not set(text) <= _DIGITS:
        raise EvalError(f'Invalid character(s) found in {what.lower()} number "{text}"')
    if len(text) > 1 and text[0] == "0":
        raise EvalError(f'{what} number must not contain leading zeroes "{text}"')
    if int(text) >= _UINT64:
        raise EvalError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _identifier(text: str) -> int | str:
    if not text:
        raise EvalError("Prerelease is empty")
    if set(text) <= _DIGITS:
        if len(text) > 1 and text[0] == "0":
            raise EvalError(f'Numeric PreRelease version must not contain leading zeroes "{text}"')
        return int(text)
    if not set(text) <= _ALNUM:
        raise EvalError(f'Invalid character(s) found in prerelease "{text}"')
    return text


def parse(text: str, normalize: bool = False) -> Semver:
    """The version; ``normalize`` permits a ``v``, missing parts and leading zeroes."""
    if normalize:
        text = _normalized(text)
    if not text:
        raise EvalError("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise EvalError("No Major.Minor.Patch elements found")
    patch, _, build = parts[2].partition("+")
    has_build = "+" in parts[2]
    patch, dash, pre = patch.partition("-")
    core = (_number(parts[0], "Major"), _number(parts[1], "Minor"), _number(patch, "Patch"))
    identifiers = tuple(_identifier(p) for p in pre.split(".")) if dash else ()
    if has_build:
        for part in build.split("."):
            if not part:
                raise EvalError("Build meta data is empty")
            if not set(part) <= _ALNUM:
                raise EvalError(f'Invalid character(s) found in build meta data "{part}"')
    return Semver(core, identifiers)


def _normalized(text: str) -> str:
    parts = text.removeprefix("v").split(".", 2)
    for i, p in enumerate(parts):
        if len(p) > 1:
            stripped = p.lstrip("0")
            parts[i] = stripped if stripped[:1] in _DIGITS and stripped else "0" + stripped
    if len(parts) < 3:
        if "+" in parts[-1] or "-" in parts[-1]:
            raise EvalError("short version cannot contain PreRelease/Build meta data")
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def _is_semver(text: str, normalize: bool = False) -> bool:
    try:
        parse(text, normalize)
    except EvalError:
        return False
    return True


def compare(a: Semver, b: Semver) -> int:
    """-1, 0 or 1 by precedence."""
    if a.core != b.core:
        return 1 if a.core > b.core else -1
    if not a.pre or not b.pre:
        return bool(b.pre) - bool(a.pre)
    for x, y in zip(a.pre, b.pre, strict=False):
        if x == y:
            continue
        if isinstance(x, int) != isinstance(y, int):
            return -1 if isinstance(x, int) else 1
        # Both are numbers, or both texts.
        return 1 if x > y else -1  # type: ignore[operator]
    return (len(a.pre) > len(b.pre)) - (len(a.pre) < len(b.pre))


_S: Final = t.STRING
_TWO: Final = (_SEMVER, _SEMVER)
OVERLOADS: Final[list[Overload]] = [
    define("semver", "string_to_semver", (_S,), _SEMVER, parse),
    define("semver", "string_bool_to_semver", (_S, t.BOOL), _SEMVER, parse),
    define("isSemver", "is_semver_string", (_S,), t.BOOL, _is_semver),
    define("isSemver", "is_semver_string_bool", (_S, t.BOOL), t.BOOL, _is_semver),
    method(
        "isGreaterThan", "semver_is_greater_than", _TWO, t.BOOL, lambda a, b: compare(a, b) == 1
    ),
    method("isLessThan", "semver_is_less_than", _TWO, t.BOOL, lambda a, b: compare(a, b) == -1),
    method("compareTo", "semver_compare_to", _TWO, t.INT, compare),
    method("major", "semver_major", (_SEMVER,), t.INT, lambda v: v.core[0]),
    method("minor", "semver_minor", (_SEMVER,), t.INT, lambda v: v.core[1]),
    method("patch", "semver_patch", (_SEMVER,), t.INT, lambda v: v.core[2]),
]

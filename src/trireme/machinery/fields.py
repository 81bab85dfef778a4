"""Field selectors: ``spec.nodeName=n1,status.phase!=Running``.

In: the text of ``fieldSelector=``. Out: a ``Selector`` over a map from field label to value, which
each kind's selectable fields give. Called by: list and watch. Rules: apimachinery ``fields``;
concepts/overview/working-with-objects/field-selectors.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from trireme.machinery import selection

_TERM: Final = re.compile(r"(?:[^\\,]|\\.|\\\Z)*", re.DOTALL)
_OPERATOR: Final = re.compile(r"!=|==|=").search
_ESCAPE: Final = re.compile(r"\\(.?)", re.DOTALL)


class Requirement(msgspec.Struct, frozen=True, gc=False):
    """One field that must equal ``value``, or must not. ``operator`` is ``=`` or ``!=``."""

    field: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.field}{self.operator}{escape(self.value)}"


class Selector(msgspec.Struct, frozen=True):
    """The conjunction of its requirements. An absent field counts as ``""``."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, values: Mapping[str, str]) -> bool:
        for requirement in self.requirements:
            equal = values.get(requirement.field, "") == requirement.value
            if equal != (requirement.operator == selection.EQUALS):
                return False
        return True

    def empty(self) -> bool:
        """Whether everything matches."""
        return not self.requirements

    def exact(self, field: str) -> str | None:
        """The value that ``field`` must have, or None where the selector does not say."""
        for requirement in self.requirements:
            if requirement.field == field and requirement.operator == selection.EQUALS:
                return requirement.value
        return None

    def fields(self) -> list[str]:
        """The field labels that the selector speaks of."""
        return [requirement.field for requirement in self.requirements]

    def transform(self, convert: Callable[[str, str], tuple[str, str]]) -> Selector:
        """Each (field, value) as ``convert`` rewrites it; ``("", "")`` drops the requirement."""
        kept: list[Requirement] = []
        for requirement in self.requirements:
            field, value = convert(requirement.field, requirement.value)
            if field or value:
                kept.append(Requirement(field, requirement.operator, value))
        return Selector(tuple(kept))

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


def everything() -> Selector:
    """The selector that all fields match."""
    return Selector()


@lru_cache(maxsize=4096)
def parse(text: str) -> Selector:
    """The selector that ``text`` writes. Raises ValueError in upstream's words."""
    requirements: list[Requirement] = []
    for term in sorted(_terms(text)):
        if not term:
            continue
        found = _OPERATOR(term)
        if found is None:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{term}'")
        operator = selection.NOT_EQUALS if found.group() == "!=" else selection.EQUALS
        value = unescape(term[found.end() :])
        requirements.append(Requirement(term[: found.start()], operator, value))
    return Selector(tuple(requirements))


def from_set(values: Mapping[str, str]) -> Selector:
    """The selector that demands exactly these values."""
    return of(Requirement(name, selection.EQUALS, values[name]) for name in sorted(values))


def of(requirements: Iterable[Requirement]) -> Selector:
    """The conjunction of ``requirements``."""
    return Selector(tuple(requirements))


def escape(value: str) -> str:
    """``value`` with ``\\``, ``,`` and ``=`` escaped."""
    return re.sub(r"([\\,=])", r"\\\1", value)


def unescape(text: str) -> str:
    """The value that ``text`` escapes. Raises ValueError."""
    for found in re.finditer(r"\\(.?)|[,=]", text, re.DOTALL):
        if found.group() in (",", "="):
            rune = ord(found.group())
            raise ValueError(f"invalid field selector: unescaped character in value: {rune}")
        if found.group(1) not in ("\\", ",", "="):
            sequence = found.group()
            raise ValueError(f"invalid field selector: invalid escape sequence: {sequence}")
    return _ESCAPE.sub(r"\1", text)


def _terms(text: str) -> list[str]:
    """``text`` cut at the commas that no backslash escapes."""
    terms: list[str] = []
    position = 0
    while position <= len(text):
        found = _TERM.match(text, position)
        assert found is not None
        terms.append(found.group())
        position = found.end() + 1
    return terms

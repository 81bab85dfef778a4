"""Label selectors: parsed once, then matched against many label maps.

In: the text of ``labelSelector=`` or ``-l``, or a ``LabelSelector`` struct. Out: a ``Selector``
with ``matches(labels)``. Called by: list and watch, controllers, the scheduler, admission. Rules:
apimachinery ``labels`` and ``meta/v1`` helpers; concepts/overview/working-with-objects/labels.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from trireme.machinery import field, gotext, names, selection
from trireme.machinery.field import FieldError, Path
from trireme.machinery.meta import LabelSelector

Labels = Mapping[str, str]

_BINARY: Final = (
    selection.IN, selection.NOT_IN, selection.EQUALS, selection.DOUBLE_EQUALS,
    selection.NOT_EQUALS, selection.GREATER_THAN, selection.LESS_THAN,
)  # fmt: skip
_ALL: Final = (*_BINARY, selection.EXISTS, selection.DOES_NOT_EXIST)
_STRUCT_OPERATORS: Final = {
    "In": selection.IN,
    "NotIn": selection.NOT_IN,
    "Exists": selection.EXISTS,
    "DoesNotExist": selection.DOES_NOT_EXIST,
}
_INT64: Final = re.compile(r"[+-]?[0-9]{1,40}\Z", re.ASCII).match
# Upstream prints a path that was never given this way, and clients see it.
_NO_PATH: Final = Path("<nil>")


class Requirement(msgspec.Struct, frozen=True, gc=False):
    """One condition on one key. ``operator`` is a ``selection`` constant, ``values`` sorted."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        return _test(self)(labels)

    def __str__(self) -> str:
        operator, values = self.operator, ",".join(self.values)
        if operator == selection.EXISTS:
            return self.key
        if operator == selection.DOES_NOT_EXIST:
            return f"!{self.key}"
        if operator in (selection.IN, selection.NOT_IN):
            return f"{self.key} {operator} ({values})"
        sign = {selection.GREATER_THAN: ">", selection.LESS_THAN: "<"}.get(operator, operator)
        return f"{self.key}{sign}{values}"


class Selector:
    """The conjunction of its requirements, in the order of their keys. Immutable.

    ``matches`` is an attribute, compiled for the requirements: call it on many label maps.
    """

    __slots__ = ("matches", "requirements")

    matches: Callable[[Labels], bool]
    requirements: tuple[Requirement, ...]

    def __init__(self, requirements: Iterable[Requirement] = ()) -> None:
        self.requirements = tuple(sorted(requirements, key=_by_key))
        self.matches = _compile(self.requirements)

    def empty(self) -> bool:
        """Whether everything matches."""
        return not self.requirements

    def exact(self, key: str) -> str | None:
        """The single value that ``key`` must have, where the selector demands just one."""
        for requirement in self.requirements:
            if requirement.key == key:
                if len(requirement.values) == 1 and requirement.operator in _EXACT:
                    return requirement.values[0]
                return None
        return None

    def add(self, *more: Requirement) -> Selector:
        """The selector that demands ``more`` as well."""
        return Selector((*self.requirements, *more))

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)

    def __repr__(self) -> str:
        return f"Selector({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selector) and self.requirements == other.requirements

    def __hash__(self) -> int:
        return hash(self.requirements)


class Nothing(Selector):
    """Matches no labels at all: what an absent (nil) LabelSelector means."""

    __slots__ = ()

    def __init__(self) -> None:
        self.requirements = ()
        self.matches = _never

    def empty(self) -> bool:
        return False

    def add(self, *more: Requirement) -> Selector:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Nothing)

    def __hash__(self) -> int:
        return 0


def everything() -> Selector:
    """The selector that all labels match."""
    return Selector()


@lru_cache(maxsize=4096)
def parse(text: str) -> Selector:
    """The selector that ``text`` writes. Raises ValueError in upstream's words."""
    return Selector(_Parser(_scan(text)).parse())


def from_set(labels: Labels) -> Selector:
    """The selector that demands exactly these labels. Not validated."""
    return Selector(Requirement(key, selection.EQUALS, (labels[key],)) for key in labels)


def from_struct(selector: LabelSelector | None) -> Selector:
    """The selector of a spec: None matches nothing, an empty one everything. Raises ValueError."""
    if selector is None:
        return Nothing()
    requirements = [
        requirement(key, selection.EQUALS, (value,)) for key, value in selector.matchLabels.items()
    ]
    for expression in selector.matchExpressions:
        operator = _STRUCT_OPERATORS.get(expression.operator)
        if operator is None:
            quoted = gotext.quote(expression.operator)
            raise ValueError(f"{quoted} is not a valid label selector operator")
        requirements.append(requirement(expression.key, operator, tuple(expression.values)))
    return Selector(requirements)


def format_struct(selector: LabelSelector | None) -> str:
    """The selector of a spec as printers show it: ``<none>``, ``<error>`` or its text."""
    try:
        text = str(from_struct(selector))
    except ValueError:
        return "<error>"
    return text or "<none>"


def format_labels(labels: Labels) -> str:
    """A label map as printers show it: ``a=1,b=2`` by key, or ``<none>``."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) or "<none>"


def requirement(
    key: str, operator: str, values: tuple[str, ...], at: Path = _NO_PATH
) -> Requirement:
    """A checked requirement. Raises ValueError with the text of every error."""
    errs: list[FieldError] = []
    messages = names.is_qualified_name(key)
    if messages:
        errs.append(field.invalid(_under(at, "key"), key, "; ".join(messages)))
    errs += _check_values(key, operator, values, at)
    if errs:
        raise ValueError(field.join(errs))
    return Requirement(key, operator, tuple(sorted(set(values))))


def _check_values(key: str, operator: str, values: tuple[str, ...], at: Path) -> list[FieldError]:
    here = _under(at, "values")
    errs: list[FieldError] = []
    if operator in (selection.IN, selection.NOT_IN):
        if not values:
            detail = "for 'in', 'notin' operators, values set can't be empty"
            errs.append(field.invalid(here, list(values), detail))
    elif operator in (selection.EQUALS, selection.DOUBLE_EQUALS, selection.NOT_EQUALS):
        if len(values) != 1:
            detail = "exact-match compatibility requires one single value"
            errs.append(field.invalid(here, list(values), detail))
    elif operator in (selection.EXISTS, selection.DOES_NOT_EXIST):
        if values:
            detail = "values set must be empty for exists and does not exist"
            errs.append(field.invalid(here, list(values), detail))
    elif operator in (selection.GREATER_THAN, selection.LESS_THAN):
        if len(values) != 1:
            detail = "for 'Gt', 'Lt' operators, exactly one value is required"
            errs.append(field.invalid(here, list(values), detail))
        for position, value in enumerate(values):
            if _integer(value) is None:
                detail = "for 'Gt', 'Lt' operators, the value must be an integer"
                errs.append(field.invalid(here.index(position), value, detail))
    else:
        errs.append(field.not_supported(_under(at, "operator"), operator, _ALL))
    for position, value in enumerate(values):
        messages = names.is_label_value(value)
        if messages:
            place = here.index(position).key(key)
            errs.append(field.invalid(place, value, "; ".join(messages)))
    return errs


def _under(at: Path, name: str) -> Path:
    return field.path(name) if at is _NO_PATH else at.child(name)


def _by_key(requirement: Requirement) -> str:
    return requirement.key


_EXACT: Final = (selection.EQUALS, selection.DOUBLE_EQUALS, selection.IN)


def _never(labels: Labels) -> bool:
    return False


def _always(labels: Labels) -> bool:
    return True


def _compile(requirements: tuple[Requirement, ...]) -> Callable[[Labels], bool]:
    if not requirements:
        return _always
    if all(r.operator in _EXACT and len(r.values) == 1 for r in requirements):
        expected = [(r.key, r.values[0]) for r in requirements]
        if len(expected) == 1:
            key, value = expected[0]
            return lambda labels: labels.get(key) == value
        return lambda labels: all([labels.get(key) == value for key, value in expected])
    tests = [_test(requirement) for requirement in requirements]
    if len(tests) == 1:
        return tests[0]
    return lambda labels: all(test(labels) for test in tests)


def _test(requirement: Requirement) -> Callable[[Labels], bool]:
    key, operator, values = requirement.key, requirement.operator, requirement.values
    if operator in _EXACT:
        allowed = frozenset(values)
        return lambda labels: labels.get(key) in allowed
    if operator in (selection.NOT_IN, selection.NOT_EQUALS):
        banned = frozenset(values)
        return lambda labels: labels.get(key) not in banned
    if operator == selection.EXISTS:
        return lambda labels: key in labels
    if operator == selection.DOES_NOT_EXIST:
        return lambda labels: key not in labels
    bound = _integer(values[0])
    assert bound is not None
    if operator == selection.GREATER_THAN:
        return lambda labels: _compare(labels.get(key), bound) > 0
    return lambda labels: _compare(labels.get(key), bound) < 0


def _compare(text: str | None, bound: int) -> int:
    number = _integer(text) if text is not None else None
    return 0 if number is None else (number > bound) - (number < bound)


def _integer(text: str) -> int | None:
    """``text`` as an int64, or None."""
    if not _INT64(text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


# The grammar. Tokens are (kind, literal); a kind is the symbol itself, "id", or "" for the end.

Token = tuple[str, str]
_SYMBOLS: Final = {
    ")": ")", ",": ",", "!": "!", "==": "==", "=": "=", ">": "gt", "<": "lt", "!=": "!=", "(": "(",
}  # fmt: skip
_WORDS: Final = ("in", "notin")
_TOKEN: Final = re.compile(r"[ \t\r\n]*(?:(==|!=|[=!(),><])|([^ \t\r\n=!(),><]+))").match


def _scan(text: str) -> list[Token]:
    tokens: list[Token] = []
    position, text = 0, text.partition("\x00")[0].rstrip(" \t\r\n")
    while position < len(text):
        found = _TOKEN(text, position)
        assert found is not None
        position = found.end()
        symbol, word = found.groups()
        if symbol:
            tokens.append((_SYMBOLS[symbol], symbol))
        else:
            tokens.append((word if word in _WORDS else "id", word))
    tokens.append(("", ""))
    return tokens


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def parse(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while True:
            kind, literal = self._peek()
            if kind == "":
                return requirements
            if kind not in ("id", "!"):
                raise ValueError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self._requirement())
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            kind, literal = self._take()
            if kind == "":
                return requirements
            if kind != ",":
                raise ValueError(f"found '{literal}', expected: ',' or 'end of string'")
            kind, literal = self._peek()
            if kind not in ("id", "!"):
                raise ValueError(f"found '{literal}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        key, operator = self._key()
        if operator:
            return requirement(key, operator, ())
        operator = self._operator()
        if operator in (selection.IN, selection.NOT_IN):
            return requirement(key, operator, self._values())
        return requirement(key, operator, (self._exact(),))

    def _key(self) -> tuple[str, str]:
        operator = ""
        kind, literal = self._take()
        if kind == "!":
            operator = selection.DOES_NOT_EXIST
            kind, literal = self._take()
        if kind != "id":
            raise ValueError(f"found '{literal}', expected: identifier")
        messages = names.is_qualified_name(literal)
        if messages:
            raise ValueError(str(field.invalid(_NO_PATH, literal, "; ".join(messages))))
        if not operator and self._peek()[0] in ("", ","):
            operator = selection.EXISTS
        return literal, operator

    def _operator(self) -> str:
        kind, literal = self._take(words=True)
        if kind not in _BINARY:
            raise ValueError(f"found '{literal}', expected: {', '.join(_BINARY)}")
        return kind

    def _values(self) -> tuple[str, ...]:
        kind, literal = self._take()
        if kind != "(":
            raise ValueError(f"found '{literal}' expected: '('")
        kind, literal = self._peek()
        if kind == ")":
            self._take()
            return ("",)
        if kind not in ("id", ","):
            raise ValueError(f"found '{literal}', expected: ',', ')' or identifier")
        values = self._identifiers()
        self._take()
        return values

    def _identifiers(self) -> tuple[str, ...]:
        """The values up to the closing parenthesis, which stays; an empty place is ``""``."""
        values: set[str] = set()
        while True:
            kind, literal = self._take()
            if kind == "id":
                values.add(literal)
                kind, literal = self._peek()
                if kind == ")":
                    return tuple(sorted(values))
                if kind != ",":
                    raise ValueError(f"found '{literal}', expected: ',' or ')'")
            elif kind == ",":
                if not values:
                    values.add("")
                kind, _ = self._peek()
                if kind in (")", ","):
                    values.add("")
                if kind == ")":
                    return tuple(sorted(values))
            else:
                raise ValueError(f"found '{literal}', expected: ',', or identifier")

    def _exact(self) -> str:
        if self._peek()[0] in ("", ","):
            return ""
        kind, literal = self._take()
        if kind != "id":
            raise ValueError(f"found '{literal}', expected: identifier")
        return literal

    def _peek(self) -> Token:
        kind, literal = self._tokens[self._at]
        return ("id" if kind in _WORDS else kind), literal

    def _take(self, words: bool = False) -> Token:
        """The next token; ``in`` and ``notin`` are identifiers but where an operator stands."""
        kind, literal = self._tokens[self._at]
        if self._at < len(self._tokens) - 1:
            self._at += 1
        return ("id" if kind in _WORDS and not words else kind), literal


def go_text(selector: LabelSelector | None) -> str:
    """A selector as Go prints it, for the messages that show one."""
    if selector is None:
        return "nil"
    pairs = "".join(f"{key}: {text}," for key, text in sorted(selector.matchLabels.items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{item.key},Operator:{item.operator},"
        f"Values:[{' '.join(item.values)}],}},"
        for item in selector.matchExpressions
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{pairs}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )

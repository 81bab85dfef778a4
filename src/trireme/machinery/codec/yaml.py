"""YAML in, as upstream reads it, and out.

In: the body of an ``application/yaml`` request or a manifest file. Out: plain JSON values and the
duplicate keys, then ``schema/decode`` goes on from their JSON. Called by: the API server, the CLI,
configuration files. Rules: sigs.k8s.io/yaml over go-yaml v2, which is YAML 1.1 with exceptions:
``yes``, ``on`` and ``y`` are booleans, ``0644`` is octal, dates stay texts, ``1:30`` is a text,
keys become texts, whole floats become integers.

Works on libyaml's events: its composer recurses in C, and a hostile body would end the process.
"""

from __future__ import annotations

import binascii
import io
import math
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec
import yaml as pyyaml

from trireme.machinery import gotext
from trireme.machinery.codec import json
from trireme.machinery.schema.decode import MAX_DEPTH, DecodeError

_TAG: Final = "tag:yaml.org,2002:"
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"), True),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF"), False),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z").match
_INTEGER: Final = re.compile(
    r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)\Z"
).match
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:\Z|[Tt ])").match
_MERGE: Final = object()
# A text that begins with none of these, and is no word, is nothing but a text.
_SUSPECT: Final = frozenset("+-.0123456789<=")
_TWICE: Final = "yaml: unmarshal errors:"


class Loaded(msgspec.Struct, frozen=True):
    """A document as plain values. ``problem`` is empty or lists the keys that were set twice."""

    value: Any
    problem: str = ""


def load(data: bytes | str) -> Loaded:
    """The first document of ``data``; None when there is none. Raises DecodeError."""
    return next(load_all(data), Loaded(None))


def load_all(data: bytes | str) -> Iterator[Loaded]:
    """The documents of ``data``, one by one. Raises DecodeError."""
    reader: _Reader | None = None
    try:
        for event in pyyaml.parse(data, Loader=pyyaml.CSafeLoader):
            if isinstance(event, pyyaml.DocumentStartEvent):
                reader = _Reader()
            elif isinstance(event, pyyaml.DocumentEndEvent):
                assert reader is not None
                yield reader.result()
            elif reader is not None:
                reader.take(event)
    except pyyaml.YAMLError as error:
        raise DecodeError(f"yaml: {_explain(error)}", syntax=True) from None


def to_json(data: bytes | str) -> tuple[bytes, str]:
    """The first document as JSON, for ``decode``, and the keys that were set twice."""
    loaded = load(data)
    return json.encode(loaded.value), loaded.problem


def lines(problem: str) -> list[str]:
    """A problem as warnings: that of keys set twice has a line for each."""
    if problem.startswith(_TWICE):
        return [line.strip() for line in problem.splitlines()[1:]]
    return [problem]


def dump(value: Any) -> str:
    """Plain values, or a struct, as YAML: keys sorted, block style, lists not indented."""
    out = io.StringIO()
    emitter = pyyaml.CSafeDumper(out, allow_unicode=True)
    emitter.emit(pyyaml.StreamStartEvent())
    emitter.emit(pyyaml.DocumentStartEvent())
    _emit(emitter.emit, json.to_plain(value))
    emitter.emit(pyyaml.DocumentEndEvent())
    emitter.emit(pyyaml.StreamEndEvent())
    return out.getvalue()


class _Frame:
    """A container that is being read."""

    __slots__ = ("anchor", "expanded", "key", "keys", "line", "merges", "twice", "value")

    def __init__(self, value: Any, anchor: str | None, line: int) -> None:
        self.value = value
        self.anchor = anchor
        self.line = line
        self.twice = False  # whether the key has been there before
        self.key: Any = None  # the key whose value comes next
        self.keys: set[str] | None = set() if isinstance(value, dict) else None
        self.merges: list[dict[str, Any]] = []
        self.expanded = 1  # how many nodes this is once its aliases are written out


class _Reader:
    """Builds one document from its events."""

    def __init__(self) -> None:
        self._root: Any = None
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: set[str] = set()
        self._twice: list[str] = []
        self._decoded = self._aliased = 0

    def result(self) -> Loaded:
        lines = "".join(f"\n  {line}" for line in self._twice)
        return Loaded(self._root, _TWICE + lines if lines else "")

    def take(self, event: pyyaml.Event) -> None:
        match event:
            case pyyaml.ScalarEvent():
                value = self._scalar(event)
                if event.anchor:
                    self._anchors[event.anchor] = (value, 1)
                self._count(1)
                self._place(value, 1, _line(event))
            case pyyaml.AliasEvent():
                value, size = self._alias(event)
                self._count(size, size)
                self._place(value, size, _line(event))
            case pyyaml.MappingStartEvent():
                self._begin({}, event)
            case pyyaml.SequenceStartEvent():
                self._begin([], event)
            case pyyaml.MappingEndEvent() | pyyaml.SequenceEndEvent():
                self._end()

    def _begin(
        self, container: Any, event: pyyaml.MappingStartEvent | pyyaml.SequenceStartEvent
    ) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise DecodeError(f"yaml: line {_line(event)}: exceeded max depth", syntax=True)
        self._count(1)
        if event.anchor:
            self._open.add(event.anchor)
        self._stack.append(_Frame(container, event.anchor, _line(event)))

    def _end(self) -> None:
        frame = self._stack.pop()
        for merged in frame.merges:
            for key, value in merged.items():
                frame.value.setdefault(key, value)
        if frame.anchor:
            self._open.discard(frame.anchor)
            self._anchors[frame.anchor] = (frame.value, frame.expanded)
        self._place(frame.value, frame.expanded, frame.line)

    def _place(self, value: Any, size: int, line: int) -> None:
        """Put a finished value, begun on ``line``, where it belongs: the root, a list, a key or a
        key's value."""
        if not self._stack:
            self._root = _checked(value)
            return
        frame = self._stack[-1]
        frame.expanded += size
        if frame.keys is None:
            frame.value.append(_checked(value))
        elif frame.key is None:
            frame.key = self._key(value)
        elif frame.key is _MERGE:
            frame.key = None
            frame.merges += _merged(value)
        else:
            if frame.twice:
                quoted = gotext.quote(frame.key)
                self._twice.append(f"line {line}: key {quoted} already set in map")
            frame.value[frame.key] = _checked(value)
            frame.key = None

    def _key(self, value: Any) -> Any:
        if value is _MERGE:
            return value
        frame = self._stack[-1]
        assert frame.keys is not None
        if value is None or isinstance(value, dict | list):
            raise _bad(f"unsupported map key: {gotext.plain(value)}")
        key = value if isinstance(value, str) else gotext.plain(_checked(value))
        frame.twice = key in frame.keys
        frame.keys.add(key)
        return key

    def _alias(self, event: pyyaml.AliasEvent) -> tuple[Any, int]:
        if event.anchor in self._open:
            raise _bad(f"anchor '{event.anchor}' value contains itself")
        if event.anchor not in self._anchors:
            raise _bad(f"unknown anchor '{event.anchor}' referenced")
        return self._anchors[event.anchor]

    def _count(self, nodes: int, aliased: int = 0) -> None:
        """Refuse a document that is small only because aliases repeat it, by upstream's measure."""
        self._decoded += nodes
        self._aliased += aliased
        if self._aliased > 100 and self._decoded > 1000:
            share = (self._decoded - 400_000) / 3_600_000
            allowed = 0.99 - 0.89 * min(max(share, 0.0), 1.0)
            if self._aliased / self._decoded > allowed:
                raise DecodeError("yaml: document contains excessive aliasing", syntax=True)

    def _scalar(self, event: pyyaml.ScalarEvent) -> Any:
        tag = (event.tag or "").removeprefix(_TAG)
        if event.implicit[0]:
            return _MERGE if event.value == "<<" and self._expects_key() else _resolve(event.value)
        if tag == "binary":
            return _from_base64(event.value)
        if tag not in ("bool", "int", "float", "null"):
            return event.value
        value = _resolve(event.value)
        if tag == "float" and type(value) is int:
            return value
        types = {"bool": bool, "int": int, "float": float, "null": type(None)}
        if type(value) is not types[tag]:
            raise _bad(f"cannot decode !!str `{event.value}` as a !!{tag}")
        return value

    def _expects_key(self) -> bool:
        return (
            bool(self._stack) and self._stack[-1].keys is not None and self._stack[-1].key is None
        )


def _resolve(text: str) -> Any:
    """What a plain scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    if not text[0].isascii() or text[0] not in "+-.0123456789" or _DATE(text):
        return text
    bare = text.replace("_", "") if text[0] != "." else text
    if len(bare) <= 66 and _INTEGER(bare):
        number = _integer(bare)
        if -(2**63) <= number < 2**64:
            return number
    if not _FLOAT(bare):
        return text
    real = float(bare)
    if math.isinf(real):
        return text
    # As Go writes the number into the JSON that is read in its place.
    return int(gotext.json_number(real)) if real.is_integer() and abs(real) < 1e21 else real


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
    number = int(digits, 8) if octal else int(digits, 0)
    return -number if text[0] == "-" else number


def _from_base64(text: str) -> str:
    try:
        data = binascii.a2b_base64("".join(text.split("\n")), strict_mode=True)
    except ValueError:
        raise _bad("!!binary value contains invalid base64 data") from None
    return data.decode("utf-8", "replace")


def _checked(value: Any) -> Any:
    """``value`` if JSON can carry it."""
    if value is _MERGE:
        return "<<"
    if type(value) is float and (value != value or abs(value) == float("inf")):
        raise DecodeError(f"json: unsupported value: {gotext.number(value)}", syntax=True)
    return value


def _merged(value: Any) -> list[dict[str, Any]]:
    """The maps that a merge key (``<<``) names; earlier ones win."""
    maps = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in maps):
        raise _bad("map merge requires map or sequence of maps as the value")
    return maps


def _bad(detail: str) -> DecodeError:
    return DecodeError(f"yaml: {detail}", syntax=True)


def _line(event: pyyaml.Event) -> int:
    assert event.start_mark is not None  # what was parsed has its place
    return event.start_mark.line + 1


def _explain(error: pyyaml.YAMLError) -> str:
    """The parser's error with its line, counted as upstream counts."""
    if not isinstance(error, pyyaml.MarkedYAMLError):
        return str(getattr(error, "reason", "") or error).strip()
    line = 0
    if error.problem == "exceeded maximum nesting depth":
        # PyYAML 6.0.4 and later have a limit of their own, far above ours, and look ahead.
        mark = error.problem_mark
        return f"line {mark.line + 1 if mark else 1}: exceeded max depth"
    if error.problem_mark is not None and error.problem_mark.line:
        line = error.problem_mark.line + isinstance(error, pyyaml.scanner.ScannerError)
    elif error.context_mark is not None and error.context_mark.line:
        line = error.context_mark.line
    return f"line {line}: {error.problem}" if line else str(error.problem)


_SEXAGESIMAL: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z").match
_KEY_PARTS: Final = re.compile(r"([0-9]+)|([^\W\d_])|(.)", re.DOTALL).finditer


# The same names recur.
@lru_cache(maxsize=4096)
def _sort_key(key: str) -> list[tuple[int, int, int]]:
    """The order of upstream's keys: signs, then numbers by size, then letters."""
    parts: list[tuple[int, int, int]] = []
    for found in _KEY_PARTS(key):
        number, letter, sign = found.groups()
        if number:
            parts.append((1, int(number[:4000]), len(number)))
        else:
            parts.append((2, ord(letter), 0) if letter else (0, ord(sign), 0))
    return parts


_QUOTED: Final = ("<<", "=")
_BEGIN_MAP: Final = pyyaml.MappingStartEvent(None, None, True, flow_style=False)
_EMPTY_MAP: Final = pyyaml.MappingStartEvent(None, None, True, flow_style=True)
_END_MAP: Final = pyyaml.MappingEndEvent()
_BEGIN_LIST: Final = pyyaml.SequenceStartEvent(None, None, True, flow_style=False)
_EMPTY_LIST: Final = pyyaml.SequenceStartEvent(None, None, True, flow_style=True)
_END_LIST: Final = pyyaml.SequenceEndEvent()
# Whether a scalar may be plain, and whether it may be quoted.
_TEXT: Final = (True, True)
_QUOTED_ONLY: Final = (False, True)
_PLAIN_ONLY: Final = (True, False)


def _emit(emit: Callable[[pyyaml.Event], None], value: Any) -> None:
    """Plain values as events: a tenth of what it takes to make nodes of them first."""
    kind = type(value)
    if kind is str:
        emit(_text(value))
    elif kind is dict:
        emit(_BEGIN_MAP if value else _EMPTY_MAP)
        for key in sorted(value, key=_sort_key):
            emit(_name(key))
            _emit(emit, value[key])
        emit(_END_MAP)
    elif kind is list:
        emit(_BEGIN_LIST if value else _EMPTY_LIST)
        for item in value:
            _emit(emit, item)
        emit(_END_LIST)
    else:
        emit(pyyaml.ScalarEvent(None, None, _PLAIN_ONLY, _number_or_word(value)))


@lru_cache(maxsize=4096)
def _name(key: str) -> pyyaml.ScalarEvent:
    return _text(key)


def _text(text: str) -> pyyaml.ScalarEvent:
    """Quoted where some reader would take it for something else than a text."""
    if "\n" in text:
        implicit = _TEXT if type(_resolve(text)) is str else _QUOTED_ONLY
        return pyyaml.ScalarEvent(None, None, implicit, text, style="|")
    if _needs_quotes(text):
        return pyyaml.ScalarEvent(None, None, _QUOTED_ONLY, text, style='"')
    return pyyaml.ScalarEvent(None, None, _TEXT, text)


def _needs_quotes(text: str) -> bool:
    if text and text[0].isascii() and text[0] not in _SUSPECT and text not in _WORDS:
        return False
    return (
        text in _QUOTED
        or bool(_DATE(text) or _SEXAGESIMAL(text))
        or type(_resolve(text)) is not str
    )


def _number_or_word(value: bool | int | float | None) -> str:
    if value is None:
        return "null"
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int and -(2**63) <= value < 2**64:
        return str(value)
    return gotext.number(float(value))

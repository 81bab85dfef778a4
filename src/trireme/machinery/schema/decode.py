"""Decoding of request bodies: JSON bytes to a checked struct, as strictly as the client asked.

In: the body, its type, and the field validation of the request. Out: the object and the warnings.
Called by: create, update and the last step of patch; ``untyped`` by patches and custom resources.
Errors are 400s with the text that upstream's decoder gives; the caller adds its prefix
(``as_bad_request``). Rules: sigs.k8s.io/json; KEP-2885 (field validation).

The fast path is one msgspec call and one check for duplicate keys. Whatever it refuses takes the
slow path, which is as lenient as Go's decoder: null is absent, unknown fields are dropped and
reported, numbers are taken for quantities. Texts are not canonical yet: ``normalise`` comes next.
"""

from __future__ import annotations

import binascii
import json
import re
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from trireme.machinery import errors, gotext, quantity, time
from trireme.machinery.schema import syntax, tree
from trireme.machinery.schema.node import (
    ANY,
    BOOLEAN,
    BYTES,
    INT_OR_STRING,
    INTEGER,
    LIST,
    MAP,
    NUMBER,
    OBJECT,
    RAW,
    STRING,
    Node,
    Shape,
)

T = TypeVar("T")

STRICT: Final = "Strict"
WARN: Final = "Warn"
IGNORE: Final = "Ignore"

# Nesting that leaves room on Python's stack for walks of the value. Upstream: 10,000.
MAX_DEPTH: Final = 200
_MAX_PROBLEMS: Final = 100
_INT64: Final = (-(2**63), 2**63 - 1)
_INT32: Final = (-(2**31), 2**31 - 1)
_ANY_NODE: Final = Node(ANY, "interface {}")
_IDENTITY: Final = Node(
    OBJECT,
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }',
    Shape("", "", lambda: {name: Node(STRING, "string") for name in ("apiVersion", "kind")}),
)
_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}").search
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKETS: Final = re.compile(r"[\[{]|[\]}]")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_plain: Final = msgspec.json.Decoder()
_compact: Final = msgspec.json.Encoder()


class DecodeError(errors.ApiError):
    """400: the body is not what it should be.

    ``syntax``: it is no object with a kind, or not even JSON. ``declared`` are the kind and the
    version that it says it is, where these are not the ones that are expected.
    """

    def __init__(
        self, message: str, *, syntax: bool = False, declared: tuple[str, str] | None = None
    ) -> None:
        super().__init__(400, errors.BAD_REQUEST, message)
        self.syntax = syntax
        self.declared = declared


def decode(
    data: bytes,
    type_: type[T],
    mode: str = WARN,
    converting: bool = False,
    *,
    unique: bool = False,
) -> tuple[T, list[str]]:
    """The object that ``data`` holds, and the warnings (none but in mode Warn).

    Raises DecodeError: not JSON, a wrong type, and in mode Strict unknown or duplicate fields.
    ``converting``: in the words that upstream has for values that it made itself by a merge.
    ``unique``: the data was encoded here, so that no object in it has a key twice.
    """
    kind: type = type_
    decoder, open_ended = _decoder(kind)
    if open_ended and (too_deep(data) or _LONG_NUMBER(data)):
        return _decode_slowly(data, type_, mode, converting)
    try:
        obj = decoder.decode(data)
        if unique or mode == IGNORE or not _has_duplicates(data):
            return obj, []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return _decode_slowly(data, type_, mode, converting)


def untyped(data: bytes, mode: str = WARN, node: Node = _ANY_NODE) -> tuple[Any, list[str]]:
    """``data`` as plain values (dict, list, str, int, float, bool, None), and the warnings."""
    # Integers that do not fit in 64 bits become floats, on the slow path.
    if node is _ANY_NODE and not too_deep(data) and not _LONG_NUMBER(data):
        try:
            value = _plain.decode(data)
            if mode == IGNORE or not _has_duplicates(data):
                return value, []
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    return _walk(data, node, mode)


def as_bad_request(error: DecodeError, kind: str, version: str, data: bytes) -> errors.ApiError:
    """``error`` as the API server reports it for a body meant as ``kind`` of ``version``."""
    if not error.syntax:
        declared, version = error.declared or (kind, version)
        return errors.bad_request(
            f'{declared} in version "{version}" cannot be handled as a {kind}: {error.message}'
        )
    return errors.bad_request(
        f"the object provided is unrecognized (must be of type {kind}): {error.message} "
        f"({_summary(data)})"
    )


def no_map(value: Any) -> str:
    """What Go says of a plain value that is no object, where any object would do."""
    what = {list: "array", str: "string", bool: "bool"}.get(type(value), "number")
    return f"json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"


def of_kind(data: bytes) -> None:
    """Raises DecodeError unless ``data`` is an object whose kind and version are strings."""
    try:
        _walk(data, _IDENTITY, IGNORE)
    except DecodeError as error:
        detail = f"couldn't get version/kind; json parse error: {error.message}"
        raise DecodeError(detail, syntax=True) from None


@cache
def _decoder(type_: type) -> tuple[msgspec.json.Decoder[Any], bool]:
    """The decoder of a type, and whether its values may nest without end."""
    return msgspec.json.Decoder(type_), _is_open_ended(tree.of(type_), set())


def _is_open_ended(node: Node, above: set[str]) -> bool:
    if node.kind == OBJECT:
        if node.go_type in above:
            return True
        below = above | {node.go_type}
        return any(_is_open_ended(field, below) for field in node.fields.values())
    if node.item is not None:
        return _is_open_ended(node.item, above)
    return node.kind == ANY


def too_deep(data: bytes) -> bool:
    """Whether ``data`` nests beyond MAX_DEPTH. The exact count is rarely needed."""
    return (
        data.count(b"{") + data.count(b"[") > MAX_DEPTH
        and _depth(data.decode("utf-8", "replace")) > MAX_DEPTH
    )


def _has_duplicates(data: bytes) -> bool:
    """Whether some object in ``data``, which is known to be JSON, names a key twice."""
    # A round trip drops the first of two equal keys, and with it at least two quotation marks.
    # That is proof enough where no escape can hide or add some, and faster than a look at each
    # object; with escapes, a compact body, as Go's clients send it, may still come back the same.
    again = _compact.encode(_plain.decode(data))
    if b"\\" not in data:
        return again.count(b'"') != data.count(b'"')
    if again == data.rstrip(b"\n"):
        return False
    found: list[bool] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        if len(pairs) > 1 and len(dict(pairs)) != len(pairs):
            found.append(True)

    json.loads(data, object_pairs_hook=look)
    return bool(found)


def _decode_slowly(data: bytes, type_: type[T], mode: str, converting: bool) -> tuple[T, list[str]]:
    kind: type = type_
    value, warnings = _walk(data, tree.of(kind), mode, converting)
    try:
        return msgspec.convert(value, type_), warnings
    except (msgspec.ValidationError, RecursionError) as error:
        raise DecodeError(f"json: {error}") from None


def _walk(data: bytes, node: Node, mode: str, converting: bool = False) -> tuple[Any, list[str]]:
    walker = (_Converter if converting else _Walker)(mode != IGNORE)
    value = walker.root(node, _parse(data))
    if walker.problems and mode == STRICT:
        raise DecodeError(f"strict decoding error: {', '.join(walker.problems)}")
    return value, list(walker.problems)


class _Number(str):
    """A number as it was written: quantities keep the text, and messages show it."""

    __slots__ = ()


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written: duplicate keys and all."""

    __slots__ = ()


def _parse(data: bytes) -> Any:
    # As in Go, each byte that is not UTF-8, and each half of a surrogate pair, becomes U+FFFD.
    text = data.decode("utf-8", "surrogateescape")
    if not text.isascii():
        text = _whole(text)
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise DecodeError("exceeded max depth", syntax=True)
    try:
        return _PARSER.decode(text)
    except (json.JSONDecodeError, RecursionError):
        raise DecodeError(syntax.explain(text), syntax=True) from None


def _refuse_constant(word: str) -> None:
    raise json.JSONDecodeError("not a number of JSON", word, 0)


_PARSER: Final = json.JSONDecoder(
    object_pairs_hook=_Pairs,
    parse_int=_Number,
    parse_float=_Number,
    parse_constant=_refuse_constant,
)


def _depth(text: str) -> int:
    deepest = depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _whole(text: str) -> str:
    """``text`` with each lone surrogate replaced."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class _Absent:
    """What null stands for in a field: nothing was said."""


_ABSENT: Final = _Absent()


class _Walker:
    """Takes parsed JSON down the schema tree and gives clean plain values.

    ``problems`` are the unknown and duplicate fields, in the order of the document, each once.
    """

    def __init__(self, looking: bool) -> None:
        self.problems: dict[str, None] = {}
        self._looking = looking
        # Where we are, in the two notations of upstream's messages: with keys and indices for
        # problems, and field names alone, with the struct that has the field, for type errors.
        self._path: list[str] = []
        self._fields: list[str] = []
        self._struct = ""

    def root(self, node: Node, value: Any) -> Any:
        clean = self._value(node, value)
        return {} if clean is _ABSENT and node.kind == OBJECT else _or_none(clean)

    def _value(self, node: Node, value: Any) -> Any:
        if value is None:
            return None if node.kind == ANY else _ABSENT
        return _HANDLERS[node.kind](self, node, value)

    def _object(self, node: Node, value: Any) -> Any:
        if type(value) is not _Pairs:
            for other in node.alternatives:
                if type(value) is (list if other.kind == LIST else bool):
                    return self._value(other, value)
            raise self._mismatch(value, node.go_type)
        fields = node.fields
        outer = self._struct
        clean: dict[str, Any] = {}
        known: set[str] = set()
        for key, item in value:
            field = fields.get(key)
            if field is None:
                self._report("unknown field", key)
                continue
            if key in known:
                self._report("duplicate field", key)
            known.add(key)
            self._struct = node.name
            self._path.append(f".{key}")
            self._fields.append(key)
            result = self._value(field, item)
            if result is not _ABSENT:
                clean[key] = result
            self._path.pop()
            self._fields.pop()
        self._struct = outer
        return clean

    def _map(self, node: Node, value: Any) -> Any:
        if type(value) is not _Pairs:
            raise self._mismatch(value, node.go_type)
        assert node.item is not None
        clean: dict[str, Any] = {}
        for key, item in value:
            key = _text(key)
            if key in clean:
                self._report("duplicate field", key)
            self._path.append(f".{key}")
            result = self._value(node.item, item)
            clean[key] = _zero(node.item) if result is _ABSENT else result
            self._path.pop()
        return clean

    def _list(self, node: Node, value: Any) -> Any:
        if type(value) is not list:
            raise self._mismatch(value, node.go_type)
        assert node.item is not None
        clean: list[Any] = []
        for position, item in enumerate(value):
            self._path.append(f"[{position}]")
            result = self._value(node.item, item)
            clean.append(_zero(node.item) if result is _ABSENT else result)
            self._path.pop()
        return clean

    def _string(self, node: Node, value: Any) -> Any:
        if node.format == "quantity":
            if type(value) in (str, _Number):
                return str(value)
            raise DecodeError(quantity.FORMAT_ERROR)
        if type(value) is not str:
            raise self._mismatch(value, node.go_type)
        return _text(value)

    def _bytes(self, node: Node, value: Any) -> Any:
        if type(value) is not str:
            raise self._mismatch(value, node.go_type)
        text = value.replace("\r", "").replace("\n", "")
        try:
            if not _BASE64.fullmatch(text):
                raise ValueError
            binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            raise DecodeError(f"illegal base64 data at input byte {_bad_base64(text)}") from None
        return text

    def _integer(self, node: Node, value: Any) -> Any:
        narrow = node.go_type == "int32" or node.kind == INT_OR_STRING
        low, high = _INT32 if narrow else _INT64
        if type(value) is _Number:
            number = _int(value)
            if number is not None and low <= number <= high:
                return number
            raise self._mismatch(value, node.go_type, f"number {value}")
        raise self._mismatch(value, node.go_type)

    def _int_or_string(self, node: Node, value: Any) -> Any:
        return _text(value) if type(value) is str else self._integer(node, value)

    def _number(self, node: Node, value: Any) -> Any:
        if type(value) is not _Number:
            raise self._mismatch(value, node.go_type)
        number = float(value)
        if number in (float("inf"), float("-inf")):
            raise self._mismatch(value, node.go_type, f"number {value}")
        return number

    def _boolean(self, node: Node, value: Any) -> Any:
        if type(value) is not bool:
            raise self._mismatch(value, node.go_type)
        return value

    def _any(self, node: Node, value: Any) -> Any:
        if type(value) is _Number:
            return self._any_number(value)
        if type(value) is str:
            return _text(value)
        if type(value) is _Pairs:
            return self._any_object(value)
        if type(value) is list:
            return self._any_list(value)
        return value

    def _any_object(self, value: _Pairs) -> dict[str, Any]:
        clean: dict[str, Any] = {}
        for key, item in value:
            key = _text(key)
            if key in clean:
                self._report("duplicate field", key)
            self._path.append(f".{key}")
            clean[key] = self._any(_ANY_NODE, item)
            self._path.pop()
        return clean

    def _any_list(self, value: list[Any]) -> list[Any]:
        clean: list[Any] = []
        for position, item in enumerate(value):
            self._path.append(f"[{position}]")
            clean.append(self._any(_ANY_NODE, item))
            self._path.pop()
        return clean

    def _any_number(self, value: _Number) -> int | float:
        number = _int(value)
        if number is not None and _INT64[0] <= number <= _INT64[1]:
            return number
        real = float(value)
        if real in (float("inf"), float("-inf")):
            raise self._mismatch(value, "float64", f"number {value}")
        return real

    def _raw(self, node: Node, value: Any) -> Any:
        return msgspec.Raw(_compact.encode(self._any(_ANY_NODE, value)))

    def _report(self, problem: str, key: str) -> None:
        if self._looking and len(self.problems) < _MAX_PROBLEMS:
            place = "".join([*self._path, f".{key}"]).removeprefix(".")
            self.problems[f"{problem} {gotext.quote(place)}"] = None

    def _mismatch(self, value: Any, go_type: str, go_value: str = "") -> DecodeError:
        what = f"json: cannot unmarshal {go_value or _kind_of(value)} into Go"
        if self._fields:
            where = f"struct field {self._struct}.{'.'.join(self._fields)}"
        else:
            where = "value"
        return DecodeError(f"{what} {where} of type {go_type}")


class _Converter(_Walker):
    """The same in the words of apimachinery's ``runtime`` converter, which names no place."""

    def _mismatch(self, value: Any, go_type: str, go_value: str = "") -> DecodeError:
        found = _reflected(value)
        if go_type.startswith("map["):
            return DecodeError(f"cannot restore map from {found}")
        if go_type.startswith("[]"):
            return DecodeError(f"cannot restore slice from {found}")
        if go_type not in _SCALARS:
            return DecodeError(f"cannot restore struct from: {found}")
        numbers = ("int64", "float64")
        if found in numbers and (go_type != "bool" and (found, go_type) != ("float64", "string")):
            return DecodeError(f"cannot convert {found} to {go_type}")
        return DecodeError(f"unrecognized type: {go_type}")


_SCALARS: Final = ("string", "bool", "int32", "int64", "float64")


def _reflected(value: Any) -> str:
    """The Go kind of a parsed value."""
    if type(value) is _Number:
        return "float64" if _int(value) is None else "int64"
    return {_Pairs: "map", list: "slice", bool: "bool"}.get(type(value), "string")


_HANDLERS: Final = {
    OBJECT: _Walker._object,
    MAP: _Walker._map,
    LIST: _Walker._list,
    STRING: _Walker._string,
    BYTES: _Walker._bytes,
    INTEGER: _Walker._integer,
    INT_OR_STRING: _Walker._int_or_string,
    NUMBER: _Walker._number,
    BOOLEAN: _Walker._boolean,
    ANY: _Walker._any,
    RAW: _Walker._raw,
}


def _or_none(value: Any) -> Any:
    return None if value is _ABSENT else value


def _zero(node: Node) -> Any:
    """What null gives where an item must stand: Go's zero value."""
    if node.nullable:
        return None
    if node.format == "quantity":
        return "0"
    if node.format == "date-time":
        return time.ZERO
    return {
        OBJECT: {}, MAP: {}, LIST: [], STRING: "", BYTES: "", INTEGER: 0, INT_OR_STRING: 0,
        NUMBER: 0.0, BOOLEAN: False, RAW: msgspec.Raw(b"null"),
    }[node.kind]  # fmt: skip


def _kind_of(value: Any) -> str:
    if type(value) is _Pairs:
        return "object"
    if type(value) is list:
        return "array"
    if type(value) is bool:
        return "bool"
    return "number" if type(value) is _Number else "string"


def _int(text: _Number) -> int | None:
    """The integer that ``text`` spells; 1.0 and 1e3 are no integers, as upstream has it."""
    if len(text) > 20 or not text.lstrip("-").isdigit():
        return None
    return int(text)


def _text(text: str) -> str:
    return text if text.isascii() else _whole(text)


def _bad_base64(text: str) -> int:
    """Where Go stops: the first byte outside the alphabet, else the end."""
    found = re.match(r"[A-Za-z0-9+/]*", text)
    assert found is not None
    end = found.end()
    padding = text[end : end + 2]
    if end == len(text) or end % 4 < 2 or not padding.startswith("="):
        return end if end < len(text) else end - end % 4
    return end + len(padding) if padding == "==" else end + 1


def _summary(data: bytes, limit: int = 30) -> str:
    """The body's beginning, as upstream shows it: text for an object, else hex."""
    if not data:
        return "<empty>"
    more = " ..." if len(data) > limit else ""
    if data[:1] == b"{":
        return data[:limit].decode("utf-8", "replace") + more
    return data[:limit].hex() + more

"""decode, normalise and the schema tree: leniency, strictness, messages, canonical objects."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.machinery import errors, meta
from trireme.machinery.schema import decode, node, normalise, syntax, tree
from trireme.machinery.types import (
    Atomic,
    Default,
    Duration,
    Enum,
    Int32,
    Int64,
    IntOrString,
    Merge,
    MicroTime,
    Quantity,
    RawJSON,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
)


class Port(Struct):
    name: str = ""
    number: Annotated[Int32, Required()] = always(int)
    protocol: Annotated[str, Enum(("TCP", "UDP")), Default("TCP")] = ""
    target: IntOrString | None = None


class Limits(Struct):
    limits: dict[str, Quantity] = {}
    size: Quantity | None = None
    divisor: Quantity = ""


class BoxSpec(Struct):
    replicas: Annotated[Int32 | None, Default(1)] = None
    ports: Annotated[list[Port], listmap("number", "protocol"), Merge("number")] = []
    limits: Limits = always(Limits)
    command: Annotated[list[str], Atomic()] = []
    paused: bool = False
    wait: Duration | None = None
    deadline: Int64 = 0
    byName: dict[str, Port] = {}
    extra: Any = None
    raw: RawJSON = msgspec.Raw()
    data: dict[str, bytes] = {}
    nested: BoxSpec | None = None
    continue_: str = msgspec.field(name="continue", default="")
    ratio: float = 0.0


class Box(Struct):
    kind: str = constant("Box")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: BoxSpec = always(BoxSpec)
    observed: MicroTime | None = None
    times: list[Time] = []


def spec_of(text: str, mode: str = decode.STRICT) -> BoxSpec:
    obj, _ = decode.decode(f'{{"spec":{text}}}'.encode(), Box, mode)
    normalise.normalise(obj)
    return obj.spec


def failure(text: str | bytes, mode: str = decode.STRICT) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(errors.ApiError) as caught:
        obj, _ = decode.decode(data, Box, mode)
        normalise.normalise(obj)
    assert caught.value.code == 400
    return caught.value.message


def test_defaults_and_canonical_texts() -> None:
    spec = spec_of(
        '{"ports":[{"number":80},{"number":53,"protocol":"UDP"}],"wait":"90s","limits":'
        '{"limits":{"cpu":"1000m","memory":"1024Mi"},"size":"0.5"},"byName":{"a":{"number":1}},'
        '"nested":{"ports":[{"number":1}]}}'
    )
    assert spec.replicas == 1
    assert [port.protocol for port in spec.ports] == ["TCP", "UDP"]
    assert spec.wait == "1m30s"
    assert spec.limits.limits == {"cpu": "1", "memory": "1Gi"}
    assert (spec.limits.size, spec.limits.divisor) == ("500m", "")
    assert spec.byName["a"].protocol == "TCP"
    assert spec.nested is not None
    assert (spec.nested.replicas, spec.nested.ports[0].protocol) == (1, "TCP")
    box, _ = decode.decode(
        b'{"metadata":{"creationTimestamp":"2024-01-01T01:00:00+01:00"},'
        b'"observed":"0001-01-01T00:00:00.000000Z","times":["2024-01-01T00:00:00.5Z",null,"0001-01-01T01:00:00+01:00"]}',
        Box,
    )
    normalise.normalise(box)
    assert box.metadata.creationTimestamp == "2024-01-01T00:00:00Z"
    assert box.observed is None
    zero = "0001-01-01T00:00:00Z"
    assert box.times == ["2024-01-01T00:00:00Z", zero, zero]
    again = msgspec.json.encode(box)
    normalise.normalise(box)
    assert msgspec.json.encode(box) == again


def test_an_explicit_zero_of_a_pointer_is_kept() -> None:
    assert spec_of('{"replicas":0}').replicas == 0
    assert spec_of('{"replicas":null}').replicas == 1


def test_go_leniency() -> None:
    spec = spec_of(
        '{"ports":null,"command":["a",null],"limits":{"limits":{"cpu":1,"memory":1e3,"x":null},'
        '"size":0.25},"byName":{"a":null},"paused":null,"data":{"k":"YQ==","n":null},"extra":null}'
    )
    assert spec.ports == []
    assert spec.command == ["a", ""]
    assert spec.limits.limits == {"cpu": "1", "memory": "1e3", "x": "0"}
    assert spec.limits.size == "250m"
    assert spec.byName["a"] == Port(protocol="TCP")
    assert spec.data == {"k": b"a", "n": b""}
    assert decode.decode(b"null", Box)[0] == Box()


def test_the_slow_path_agrees_with_the_fast_one() -> None:
    text = (
        '{"ports":[{"number":80,"target":"http"},{"number":81,"target":8080}],"deadline":5,'
        '"extra":{"a":[1,2.5,"x",true,null]},"raw":{"b":[1]},"data":{"k":"YWI="},"ratio":1.5,'
        '"nested":{"paused":true},"continue":"c","byName":{"p":{"number":1}}}'
    )
    fast = spec_of(text)
    slow = spec_of(text[:-1] + ',"unknown":1}', decode.IGNORE)
    assert bytes(fast.raw) == bytes(slow.raw) == b'{"b":[1]}'
    fast.raw = slow.raw = msgspec.Raw()
    assert fast == slow
    assert fast.continue_ == "c"


def test_strict_names_every_unknown_and_duplicate_field() -> None:
    text = (
        '{"foo":1,"spec":{"ports":[{"number":1,"number":2,"bar":{"x":1}}],"Paused":true,'
        '"data":{"a":"","a":""},"extra":{"b":1,"b":2}},"foo":2}'
    )
    problems = [
        'unknown field "foo"',
        'duplicate field "spec.ports[0].number"',
        'unknown field "spec.ports[0].bar"',
        'unknown field "spec.Paused"',
        'duplicate field "spec.data.a"',
        'duplicate field "spec.extra.b"',
    ]
    assert failure(text) == f"strict decoding error: {', '.join(problems)}"
    obj, warnings = decode.decode(text.encode(), Box, decode.WARN)
    assert warnings == problems
    assert obj.spec.ports[0].number == 2
    assert decode.decode(text.encode(), Box, decode.IGNORE)[1] == []


@pytest.mark.parametrize("space", ["", " "])
@pytest.mark.parametrize("value", ["1", '"\\u0022"', '"\\n"', '"é"'])
def test_duplicates_cannot_hide(space: str, value: str) -> None:
    text = f'{{"spec":{space}{{"extra":{space}{{"a":{value},{space}"a":{value}}}}}}}'
    assert failure(text) == 'strict decoding error: duplicate field "spec.extra.a"'
    fine = f'{{"spec":{space}{{"extra":{space}{{"a":{value},{space}"b":{value}}}}}}}'
    assert decode.decode(fine.encode(), Box, decode.STRICT)[1] == []


def test_problems_are_capped() -> None:
    text = "{" + ",".join(f'"x{n}":1' for n in range(500)) + "}"
    assert len(decode.decode(text.encode(), Box, decode.WARN)[1]) == 100


GO = "json: cannot unmarshal"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", f"{GO} array into Go value of type {{}}.Box"),
        ('{"spec":"x"}', f"{GO} string into Go struct field Box.spec of type {{}}.BoxSpec"),
        (
            '{"spec":{"replicas":"x"}}',
            f"{GO} string into Go struct field BoxSpec.spec.replicas of type int32",
        ),
        (
            '{"spec":{"replicas":1.5}}',
            f"{GO} number 1.5 into Go struct field BoxSpec.spec.replicas of type int32",
        ),
        (
            '{"spec":{"replicas":2147483648}}',
            f"{GO} number 2147483648 into Go struct field BoxSpec.spec.replicas of type int32",
        ),
        (
            '{"spec":{"deadline":9223372036854775808}}',
            f"{GO} number 9223372036854775808 into Go struct field BoxSpec.spec.deadline of type "
            "int64",
        ),
        (
            '{"spec":{"ports":[{"number":true}]}}',
            f"{GO} bool into Go struct field Port.spec.ports.number of type int32",
        ),
        (
            '{"spec":{"ports":{}}}',
            f"{GO} object into Go struct field BoxSpec.spec.ports of type []{{}}.Port",
        ),
        (
            '{"spec":{"command":[1]}}',
            f"{GO} number into Go struct field BoxSpec.spec.command of type string",
        ),
        (
            '{"spec":{"byName":[]}}',
            f"{GO} array into Go struct field BoxSpec.spec.byName of type map[string]{{}}.Port",
        ),
        (
            '{"spec":{"paused":"yes"}}',
            f"{GO} string into Go struct field BoxSpec.spec.paused of type bool",
        ),
        (
            '{"spec":{"ports":[{"target":1.5}]}}',
            f"{GO} number 1.5 into Go struct field Port.spec.ports.target of type int32",
        ),
        (
            '{"metadata":{"creationTimestamp":5}}',
            f"{GO} number into Go struct field ObjectMeta.metadata.creationTimestamp of type "
            "string",
        ),
        (
            '{"metadata":{"creationTimestamp":"x"}}',
            'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"',
        ),
        ('{"spec":{"wait":"x"}}', 'time: invalid duration "x"'),
        ('{"spec":{"data":{"a":"YQ"}}}', "illegal base64 data at input byte 0"),
        ('{"spec":{"data":{"a":"YWJ!"}}}', "illegal base64 data at input byte 3"),
        ('{"spec":{"limits":{"size":"1x"}}}', "quantities must match the regular expression "
         "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ('{"spec":{"limits":{"size":true}}}', "quantities must match the regular expression "
         "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ('{"spec":{"limits":{"limits":{"cpu":"1Q"}}}}', "quantities must match the regular "
         "expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
    ],
)  # fmt: skip
def test_type_errors(text: str, message: str) -> None:
    assert failure(text) == message.replace("{}", "v1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unexpected end of JSON input"),
        ("  ", "unexpected end of JSON input"),
        ('{"a"', "unexpected end of JSON input"),
        ('{"a":"b', "unexpected end of JSON input"),
        ('{"a":tru', "unexpected end of JSON input"),
        ("{a:1}", "invalid character 'a' looking for beginning of object key string"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ("[1 2]", "invalid character '2' after array element"),
        ("{} x", "invalid character 'x' after top-level value"),
        ("{}{}", "invalid character '{' after top-level value"),
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ("-Infinity", "invalid character 'I' in numeric literal"),
        ("01", "invalid character '1' after top-level value"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1ex", "invalid character 'x' in exponent of numeric literal"),
        ('"a\nb"', "invalid character '\\n' in string literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u12x4"', "invalid character 'x' in \\u hexadecimal character escape"),
        ("trux", "invalid character 'x' in literal true (expecting 'e')"),
        ("'a'", "invalid character '\\'' looking for beginning of value"),
        ("\ufeff{}", "invalid character 'ï' looking for beginning of value"),
        ("apiVersion: v1", "invalid character 'a' looking for beginning of value"),
    ],
)
def test_syntax_errors(text: str, message: str) -> None:
    assert failure(text) == message


def test_hostile_nesting_is_refused() -> None:
    for opened in ("[", '{"spec":', '{"spec":{"extra":{"a":', '{"unknown":['):
        assert failure(opened * 50_000) == "exceeded max depth"
    deep = '{"spec":{"extra":' + "[" * 600 + "]" * 600 + "}}"
    assert failure(deep) == "exceeded max depth"
    fine = '{"spec":{"extra":' + "[" * 190 + "]" * 190 + "}}"
    assert msgspec.json.encode(decode.decode(fine.encode(), Box)[0])
    twice = fine[:-1] + ',"deadline":1,"deadline":1}'
    assert decode.decode(twice.encode(), Box)[1] == ['unknown field "deadline"']
    assert failure('{"spec":{"extra":' + "1" * 5000 + "}}")
    with pytest.raises(errors.ApiError, match="max depth"):
        decode.untyped(b"[" * 600 + b"]" * 600)


def test_texts_that_are_not_unicode_are_mended_as_go_does() -> None:
    obj, _ = decode.decode(
        b'{"metadata":{"name":"a\xff\xfe","labels":{"\\ud800":"\\udc00x"}}}', Box
    )
    assert obj.metadata.name == "a\ufffd\ufffd"
    assert obj.metadata.labels == {"\ufffd": "\ufffdx"}
    assert decode.decode(b'{"metadata":{"name":"\\ud83d\\ude00"}}', Box)[0].metadata.name == "😀"


def test_untyped() -> None:
    assert decode.untyped(b'{"a":[1,1.5,"x",null,true]}') == ({"a": [1, 1.5, "x", None, True]}, [])
    value, warnings = decode.untyped(b'{"a":1,"a":{"b":2,"b":3}}')
    assert value == {"a": {"b": 3}}
    assert warnings == ['duplicate field "a"', 'duplicate field "a.b"']
    with pytest.raises(errors.ApiError, match="strict decoding error"):
        decode.untyped(b'{"a":1,"a":2}', decode.STRICT)
    with pytest.raises(decode.DecodeError) as caught:
        decode.untyped(b"{")
    assert caught.value.syntax


def test_words_of_the_api_server() -> None:
    with pytest.raises(decode.DecodeError) as caught:
        decode.decode(b'{"spec":1}', Box)
    said = decode.as_bad_request(caught.value, "Box", "v1", b"")
    assert said.message == (
        'Box in version "v1" cannot be handled as a Box: json: cannot unmarshal number into Go '
        "struct field Box.spec of type v1.BoxSpec"
    )
    declared = decode.DecodeError("why", declared=("Pod", "v2"))
    assert decode.as_bad_request(declared, "Box", "v1", b"").message == (
        'Pod in version "v2" cannot be handled as a Box: why'
    )
    with pytest.raises(decode.DecodeError) as caught:
        decode.of_kind(b"kind: Box")
    assert decode.as_bad_request(caught.value, "Box", "v1", b"kind: Box").message == (
        "the object provided is unrecognized (must be of type Box): couldn't get version/kind; "
        "json parse error: invalid character 'k' looking for beginning of value "
        "(6b696e643a20426f78)"
    )


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"[]", 'array into Go value of type struct { APIVersion string "json:'),
        (b'{"kind":1}', "number into Go struct field .kind of type string"),
        (b'{"apiVersion":[]}', "array into Go struct field .apiVersion of type string"),
    ],
)
def test_an_object_says_what_it_is(data: bytes, detail: str) -> None:
    with pytest.raises(decode.DecodeError) as caught:
        decode.of_kind(data)
    assert caught.value.syntax
    assert f"couldn't get version/kind; json parse error: json: cannot unmarshal {detail}" in str(
        caught.value
    )
    decode.of_kind(b'{"kind":"a","apiVersion":null,"metadata":1}')


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)  # fmt: skip


@given(plain)
def test_untyped_agrees_with_the_standard_parser(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, separators=(",", ":"))):
        assert decode.untyped(text.encode(), decode.STRICT) == (value, [])


@given(st.text(alphabet='{}[]",:\\ue1-.0 truefalsn', max_size=12))
def test_whatever_the_parser_refuses_is_explained(text: str) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        assert syntax.explain(text) != "invalid JSON"
    else:
        assert syntax.explain(text) == "invalid JSON"


def test_tree() -> None:
    root = tree.of(Box)
    assert tree.of(Box) is root
    ports = root.at("spec", "ports")
    assert (ports.kind, ports.list_type, ports.list_keys) == (
        node.LIST, "map", ("number", "protocol"),
    )  # fmt: skip
    assert (ports.merge, ports.merge_key, ports.go_type) == (True, "number", "[]v1.Port")
    protocol = root.at("spec", "ports", "*", "protocol")
    assert (protocol.enum, protocol.default, protocol.nullable) == (("TCP", "UDP"), "TCP", False)
    replicas = root.at("spec", "replicas")
    assert (replicas.kind, replicas.nullable, replicas.maximum) == (node.INTEGER, True, 2**31 - 1)
    assert root.at("spec", "ports", "0", "target").kind == node.INT_OR_STRING
    assert root.at("spec", "nested").shape is root.at("spec").shape
    assert root.at("spec", "command").list_type == "atomic"
    assert root.at("spec", "continue").kind == node.STRING
    assert root.at("spec", "limits", "limits", "cpu").format == "quantity"
    assert root.at("spec", "ports", "0", "number").required
    with pytest.raises(KeyError):
        root.at("spec", "nothing")

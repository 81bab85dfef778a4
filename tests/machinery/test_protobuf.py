"""Protobuf bodies: the envelope, the forms that differ from JSON, and bytes that are none."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.machinery.codec.protobuf import decode, table

MESSAGES = table.built_in()


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def chunk(number: int, data: bytes | str) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def integer(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return decode.MAGIC + chunk(1, chunk(1, api_version) + chunk(2, kind)) + chunk(2, raw)


def test_an_object_with_maps_bytes_and_times() -> None:
    meta = chunk(1, "a") + chunk(11, chunk(1, "k") + chunk(2, "v")) + chunk(8, integer(1, 60))
    secret = chunk(1, meta) + chunk(2, chunk(1, "x") + chunk(2, b"\x00\x01")) + chunk(3, "Opaque")
    assert decode.decode(envelope("v1", "Secret", secret), MESSAGES) == {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {
            "name": "a",
            "labels": {"k": "v"},
            "creationTimestamp": "1970-01-01T00:01:00Z",
        },
        "data": {"x": "AAE="},
        "type": "Opaque",
    }


def test_inline_messages_quantities_and_int_or_string() -> None:
    probe = chunk(1, chunk(2, chunk(2, integer(1, 1) + chunk(3, "http")))) + integer(2, -5)
    resources = chunk(1, chunk(1, "cpu") + chunk(2, chunk(1, "500m")))
    container = chunk(1, "c") + chunk(8, resources) + chunk(10, probe)
    volume = chunk(1, "v") + chunk(2, chunk(2, b""))
    pod = chunk(2, chunk(1, volume) + chunk(2, container))
    spec = decode.decode(envelope("v1", "Pod", pod), MESSAGES)["spec"]
    assert spec["volumes"] == [{"name": "v", "emptyDir": {}}]
    assert spec["containers"] == [
        {
            "name": "c",
            "resources": {"limits": {"cpu": "500m"}},
            "livenessProbe": {"httpGet": {"port": "http"}, "initialDelaySeconds": -5},
        }
    ]


def test_fields_of_a_newer_version_are_skipped() -> None:
    unknown = chunk(999, "x") + varint(998 << 3 | 1) + struct.pack("<d", 1.0)
    assert decode.decode(envelope("v1", "ConfigMap", unknown), MESSAGES) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
    }


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"{}", "does not appear to be a protobuf message"),
        (envelope("v1", "Nope", b""), "no protobuf form is known of v1, Kind=Nope"),
        (envelope("v1", "Pod", b"\x0a\xff"), "unexpected EOF"),
        (envelope("v1", "Pod", b"\x03"), "illegal tag 0"),
        (envelope("v1", "ConfigMap", integer(1, 7)), "wrong wireType = 0"),
    ],
)
def test_bad_bodies_say_why(body: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        decode.decode(body, MESSAGES)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise_value_error(raw: bytes) -> None:
    try:
        decode.decode(envelope("v1", "Pod", raw), MESSAGES)
    except ValueError:
        pass


def test_a_schema_may_be_a_list_or_a_truth_value() -> None:
    schema = chunk(5, "string")
    whole = chunk(24, chunk(2, schema) + chunk(2, schema)) + chunk(30, integer(1, 1))
    whole += chunk(32, chunk(1, "a") + chunk(2, chunk(2, "b"))) + chunk(20, chunk(1, "3"))
    versions = chunk(1, "v1") + chunk(4, chunk(1, whole))
    definition = chunk(2, chunk(7, versions))
    spec = decode.decode(
        envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", definition), MESSAGES
    )["spec"]
    assert spec["versions"][0]["schema"]["openAPIV3Schema"] == {
        "items": [{"type": "string"}, {"type": "string"}],
        "additionalProperties": True,
        "dependencies": {"a": ["b"]},
        "enum": [3],
    }


def test_a_body_without_its_kind_is_what_is_expected() -> None:
    body = decode.MAGIC + chunk(2, chunk(1, chunk(1, "a")))
    found = decode.decode(body, MESSAGES, ("v1", "ConfigMap"))
    assert found == {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}

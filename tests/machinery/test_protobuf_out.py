"""Protobuf out: what is written is read back as it was, for the forms that differ from JSON."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.machinery.codec.protobuf import decode, encode, table

MESSAGES = table.built_in()
ENCODER = encode.Encoder(MESSAGES)


def round_trip(obj: dict[str, Any]) -> dict[str, Any]:
    name = MESSAGES.of_kind(obj["apiVersion"], obj["kind"])
    assert name is not None
    raw = ENCODER.from_json(name, msgspec.json.encode(obj))
    head = encode.envelope(obj["apiVersion"], obj["kind"])
    return decode.decode(encode.enclosed(head, raw), MESSAGES)


POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {
        "name": "a",
        "generation": 300,
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "labels": {"b": "2", "a": "", "long": "x" * 300},
        "managedFields": [{"manager": "m", "fieldsV1": {"f:metadata": {}}}],
        "finalizers": ["one", "two"],
    },
    "spec": {
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "cm"}}],
        "priority": 0,
        "containers": [
            {
                "name": "c",
                "resources": {"limits": {"cpu": "500m"}},
                "livenessProbe": {"httpGet": {"port": "web"}, "initialDelaySeconds": -5},
                "readinessProbe": {"tcpSocket": {"port": 80}},
                "securityContext": {"privileged": False},
            }
        ],
    },
}
OTHERS = [
    {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"name": "a"},
        "data": {"x": "AAE="},
    },
    {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": "a"},
        "spec": {"acquireTime": "2026-01-02T03:04:05.678901Z", "leaseDurationSeconds": 15},
    },
    {
        "kind": "CertificateSigningRequest",
        "apiVersion": "certificates.k8s.io/v1",
        "metadata": {"name": "a"},
        "spec": {"request": "AAE=", "signerName": "", "extra": {"k": ["v", ""], "none": []}},
    },
    {
        "kind": "ControllerRevision",
        "apiVersion": "apps/v1",
        "metadata": {"name": "a"},
        "data": {"spec": {"b": [1, {"x": None}], "a": 2.5}},
        "revision": 9_007_199_254_740_993,
    },
    {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "a"},
        "spec": {
            "versions": [
                {
                    "name": "v1",
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "additionalProperties": {"type": "string", "default": "x"},
                            "additionalItems": False,
                            "maximum": 1.5,
                            "x-kubernetes-int-or-string": True,
                            "properties": {
                                "a": {"$ref": "b", "items": [{"type": "array"}]},
                                "b": {"items": {"enum": [1, "2", {"three": 3}]}},
                            },
                            "dependencies": {"a": ["b"], "b": {"type": "string"}},
                        }
                    },
                }
            ]
        },
    },
]


@pytest.mark.parametrize("obj", [POD, *OTHERS], ids=lambda obj: str(obj["kind"]))
def test_nothing_is_lost(obj: dict[str, Any]) -> None:
    read = round_trip(obj)
    if obj["kind"] == "CertificateSigningRequest":
        # Fields that upstream has as no pointers: empty is absent, and stays so.
        read["spec"].setdefault("signerName", "")
    assert read == obj


def test_null_is_left_out() -> None:
    obj = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "creationTimestamp": None}}
    assert round_trip(obj)["metadata"] == {"name": "a"}


def test_every_message_can_be_written() -> None:
    for name in MESSAGES.names():
        assert ENCODER.message(name)({}) == b""


def test_a_frame_is_a_length_and_a_whole_body() -> None:
    body = encode.enclosed(encode.envelope("v1", "Pod"), b"\x0a\x00" * 200)
    framed = encode.frame("ADDED", body)
    assert struct.unpack(">I", framed[:4])[0] == len(framed) - 4
    assert framed.endswith(body)
    assert framed[4:11] == b"\x0a\x05ADDED"


@given(st.dictionaries(st.text(), st.text(max_size=500)), st.integers(-(2**63), 2**63 - 1))
def test_texts_and_numbers(labels: dict[str, str], number: int) -> None:
    meta: dict[str, Any] = {"labels": labels} if labels else {}
    meta["generation"] = number
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": meta}
    assert round_trip(obj) == obj

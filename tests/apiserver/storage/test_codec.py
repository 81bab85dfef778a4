"""Values in etcd: what we write, and what upstream's API server does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import trireme.api
from trireme.api.catalog import Catalog
from trireme.apiserver.crd.custom import kind_of
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.storage.codec import ObjectCodec
from trireme.machinery.codec import cbor, json
from trireme.machinery.schema import decode
from trireme.store.contract import Unreadable
from trireme.store.engine import render

KINDS = Catalog.of(trireme.api)
CODEC = ObjectCodec(KINDS.resources)
MANIFESTS = Path(__file__).parents[2] / "data" / "manifests"
KEY = "/registry/boats.example.com/default/argo"


def kinds() -> Iterator[Any]:
    """The endpoint and an object of every kind in every manifest."""
    for path in sorted(MANIFESTS.glob("*.yaml")):
        for number, manifest in enumerate(yaml.safe_load_all(path.read_text())):
            group, _, version = manifest["apiVersion"].rpartition("/")
            resource = KINDS.by_kind[group, version, manifest["kind"]]
            obj, _ = decode.decode(json.encode(manifest), resource.type, decode.IGNORE)
            obj.metadata.uid = "5e0ae2f5-1cf4-4d1f-8b5c-b5a5d1b6a000"
            obj.metadata.labels["resourceVersion"] = ""
            endpoint = Endpoint(resource)
            endpoint.default(obj)
            yield pytest.param(endpoint, obj, id=f"{path.stem}-{number}")


OBJECTS = list(kinds())


@pytest.mark.parametrize(("endpoint", "obj"), OBJECTS)
def test_what_is_written_is_read(endpoint: Endpoint, obj: Any):
    value = endpoint.encode(obj)
    key = endpoint.key("default", obj.metadata.name)
    raw = CODEC.encode(key, value)
    assert msgspec.json.decode(raw)["metadata"]["resourceVersion"] == ""
    assert CODEC.decode(key, raw, 71) == render(value, 71)


@pytest.mark.parametrize(("endpoint", "obj"), OBJECTS)
def test_protobuf_of_a_built_in_kind_is_read(endpoint: Endpoint, obj: Any):
    """As upstream writes it: without a resourceVersion."""
    if endpoint.resource.group in ("apiextensions.k8s.io", "apiregistration.k8s.io"):
        pytest.skip("stored as JSON")
    value = endpoint.encode(obj)
    conversion = endpoint.resource.stored_as
    hub = endpoint if conversion is None else Endpoint(conversion.stored)
    key = hub.key("default", obj.metadata.name)
    found = CODEC.decode(key, endpoint.protobuf(key, value.head + value.tail), 71)
    if hub is endpoint:
        assert found == render(value, 71)
    assert msgspec.json.decode(found)["apiVersion"] == hub.resource.api_version


@pytest.mark.parametrize("form", [msgspec.json.encode, cbor.dump])
def test_a_custom_object_of_upstreams_is_read_as_one_of_ours(form: Any):
    obj: dict[str, Any] = {
        "alpha": {"resourceVersion": ""},
        "apiVersion": "example.com/v1",
        "kind": "Boat",
        "metadata": {
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": 1,
            "labels": {"resourceVersion": ""},
            "name": "argo",
            "namespace": "default",
            "uid": "u",
        },
        "spec": {"oars": 50, "length": 27.5},
    }
    ours = kind_of("example.com/v1", "Boat")({k: v for k, v in obj.items() if k != "metadata"})
    for name, value in obj["metadata"].items():
        setattr(ours.metadata, name, value)
    # Its slot is not the first text that looks like one, so it is made by hand.
    ours.metadata.resourceVersion = "9"
    assert CODEC.decode(KEY, form(obj), 9) == json.encode(ours)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=4), max_size=4))
def test_nothing_of_an_object_is_taken_for_the_place_of_its_revision(content: dict[str, str]):
    ours = kind_of("example.com/v1", "Boat")({"spec": content | {"resourceVersion": ""}})
    ours.metadata.name = "argo"
    value = Endpoint(KINDS.resources[0]).encode(ours)
    assert CODEC.decode(KEY, CODEC.encode(KEY, value), 7) == render(value, 7)


def test_a_definition_in_v1beta1():
    raw = json.encode(
        {
            "kind": "CustomResourceDefinition",
            "apiVersion": "apiextensions.k8s.io/v1beta1",
            "metadata": {"name": "boats.example.com"},
            "spec": {
                "group": "example.com",
                "version": "v1",
                "names": {"plural": "boats", "kind": "Boat"},
                "scope": "Namespaced",
                "validation": {"openAPIV3Schema": {"type": "object"}},
                "subresources": {"status": {}},
                "additionalPrinterColumns": [{"name": "Oars", "type": "integer", "JSONPath": ".x"}],
                "conversion": {
                    "strategy": "Webhook",
                    "webhookClientConfig": {"url": "https://localhost"},
                    "conversionReviewVersions": ["v1"],
                },
                "preserveUnknownFields": False,
            },
            "status": {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}},
        }
    )
    key = "/registry/customresourcedefinitions.apiextensions.k8s.io/boats.example.com"
    spec = msgspec.json.decode(CODEC.decode(key, raw, 3))["spec"]
    assert spec["versions"] == [
        {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object"}},
            "subresources": {"status": {}},
            "additionalPrinterColumns": [{"name": "Oars", "type": "integer", "jsonPath": ".x"}],
        }
    ]
    assert spec["conversion"] == {
        "strategy": "Webhook",
        "webhook": {
            "clientConfig": {"url": "https://localhost"},
            "conversionReviewVersions": ["v1"],
        },
    }


@pytest.mark.parametrize(
    "raw", [b"", b"k8s\0", b"k8s\0\xff\xff", b"{", b"[]", b"nonsense", b"k8s:enc:aescbc:v1:k:xxx"]
)
def test_rubbish_is_unreadable(raw: bytes):
    for key in (KEY, "/registry/secrets/default/s"):
        with pytest.raises(Unreadable):
            CODEC.decode(key, raw, 1)

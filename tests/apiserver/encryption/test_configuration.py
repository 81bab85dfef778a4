"""The file is refused in upstream's words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.encryption.files import IDENTITY, file, keyed, rule, secret
from trireme.apiserver.encryption import configuration


def kms(**fields: Any) -> dict[str, Any]:
    return {"kms": {"apiVersion": "v2", "name": "k", "endpoint": "unix:///k.sock", **fields}}


CBC = keyed("aescbc", ("k", 1))
BAD = {
    "resources: Required value": [],
    "resources[0].resources: Required value: at least one resources[0].resources is": [
        rule(IDENTITY, resources=())
    ],
    "resources[0].providers: Required value: at least one": [rule()],
    "should not contain capital letters": [rule(IDENTITY, resources=("Secrets",))],
    "use '*.' to encrypt all the resources from core": [rule(IDENTITY, resources=("*",))],
    "the same resource cannot be specified multiple": [
        rule(IDENTITY, resources=("secrets", "secrets"))
    ],
    "using overlapping resources such as": [rule(IDENTITY, resources=("secrets", "*."))],
    "Use 'events' instead": [rule(IDENTITY, resources=("events.events.k8s.io",))],
    "'extensions' group has been removed": [rule(IDENTITY, resources=("a.extensions",))],
    "across groups is not supported": [rule(IDENTITY, resources=("secrets.*",))],
    "do not have REST API/s": [rule(IDENTITY, resources=("serviceipallocations",))],
    'resource "secrets" is masked by earlier rule "*."': [
        rule(CBC, resources=("*.",)),
        rule(IDENTITY),
    ],
    'resource "jobs.batch" is masked by earlier rule "*.*"': [
        rule(CBC, resources=("*.*",)),
        rule(IDENTITY, resources=("jobs.batch",)),
    ],
    "provider does not contain any of the expected": [rule({})],
    "more than one provider specified in a single element": [rule(CBC | IDENTITY)],
    "aescbc.keys: Required value: at least one keys is required": [rule({"aescbc": {"keys": []}})],
    "keys[0].name: Required value: name is a mandatory field for a key": [
        rule({"aesgcm": {"keys": [{"secret": secret(1)}]}})
    ],
    'secret: Invalid value: "REDACTED": secrets must be base64 encoded': [
        rule({"aesgcm": {"keys": [{"name": "k", "secret": "!"}]}})
    ],
    "got 15, expected one of [16 24 32]": [
        rule({"aesgcm": {"keys": [{"name": "k", "secret": secret(1, 15)}]}})
    ],
    "got 16, expected one of [32]": [
        rule({"secretbox": {"keys": [{"name": "k", "secret": secret(1, 16)}]}})
    ],
    "KMSv1 is deprecated": [rule(kms(apiVersion="v1"))],
    "only v1 and v2 are supported": [rule(kms(apiVersion="v3"))],
    "must not contain ':'": [rule(kms(name="a:b"))],
    "duplicate KMS provider name k": [rule(kms(), kms())],
    'unsupported scheme "tcp"': [rule(kms(endpoint="tcp://localhost"))],
    "timeout should be a positive value": [rule(kms(timeout="0s"))],
    "cachesize is not supported in v2": [rule(kms(cachesize=1))],
    'unknown field "resources[0].provider"': [{"resources": ["secrets"], "provider": []}],
}


@pytest.mark.parametrize(("problem", "rules"), BAD.items())
def test_what_is_wrong_is_named(problem: str, rules: list[Any]):
    with pytest.raises(ValueError) as refusal:
        configuration.decode(file(*rules))
    assert problem in str(refusal.value)
    assert secret(1) not in str(refusal.value)


@pytest.mark.parametrize("data", [b"", b"a: b", b"kind: EncryptionConfiguration", b"\xff"])
def test_what_is_no_such_file(data: bytes):
    with pytest.raises(ValueError):
        configuration.decode(data)


def test_a_file_of_all():
    rules = configuration.decode(
        file(
            rule(CBC, IDENTITY, resources=("secrets", "boats.example.com")),
            rule(keyed("secretbox", ("k", 1)), resources=("*.apps",)),
            rule(IDENTITY, kms(), resources=("*.*",)),
        )
    )
    assert [item.resources for item in rules] == [
        ["secrets", "boats.example.com"],
        ["*.apps"],
        ["*.*"],
    ]

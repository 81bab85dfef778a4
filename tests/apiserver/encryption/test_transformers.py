"""Which provider reads and writes what, and how values are bound to their places."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apiserver.encryption.files import IDENTITY, file, keyed, rule
from trireme.apiserver.encryption import configuration
from trireme.apiserver.encryption.transformers import Transformers
from trireme.apiserver.storage.layout import Layout
from trireme.store.contract import Unreadable

KEY = "/registry/secrets/default/a"
PLAIN = b'{"kind":"Secret"}'
PROVIDERS = ("aescbc", "aesgcm", "secretbox")


def made(*rules: Any) -> Transformers:
    transformers = Transformers(Layout(["secrets", "configmaps", "deployments.apps"]))
    if rules:
        transformers.put(configuration.decode(file(*rules)), None)  # type: ignore[arg-type]
    return transformers


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_value_is_stored_as_upstream_does_and_read(name: str):
    if name == "secretbox":
        pytest.importorskip("nacl")
    there = made(rule(keyed(name, ("k1", 1))))
    stored = there.to_storage(KEY, PLAIN)
    assert stored.startswith(f"k8s:enc:{name}:v1:k1:".encode())
    assert PLAIN not in stored and stored != there.to_storage(KEY, PLAIN)
    assert made(rule(keyed(name, ("k1", 1)))).from_storage(KEY, stored) == PLAIN
    for cut in range(len("k8s:enc:"), len(stored)):
        with pytest.raises(Unreadable):
            there.from_storage(KEY, stored[:cut])


def test_what_is_changed_or_moved_is_not_read():
    there = made(rule(keyed("aesgcm", ("k", 1))))
    stored = there.to_storage(KEY, PLAIN)
    with pytest.raises(Unreadable, match="message authentication failed"):
        there.from_storage("/registry/secrets/default/b", stored)
    for at in range(len(b"k8s:enc:aesgcm:v1:k:"), len(stored)):
        with pytest.raises(Unreadable, match="message authentication failed"):
            there.from_storage(KEY, stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :])


def test_a_wrong_key_gives_upstreams_errors():
    stored = made(rule(keyed("aescbc", ("k1", 1)))).to_storage(KEY, PLAIN)
    for rules, why in (
        ([rule(keyed("aescbc", ("k2", 1)))], "no matching key was found for the provided AES"),
        ([rule(IDENTITY)], "no matching prefix found"),
        ([rule(keyed("aesgcm", ("k1", 1)))], "no matching prefix found"),
        ([rule(IDENTITY, resources=("configmaps",))], "identity transformer tried to read"),
        ([], "identity transformer tried to read encrypted data"),
    ):
        with pytest.raises(Unreadable, match=why):
            made(*rules).from_storage(KEY, stored)


def test_keys_are_rotated_and_old_values_are_stale():
    old, new = keyed("aescbc", ("k1", 1)), keyed("aescbc", ("k2", 2))
    there = made(rule(old, IDENTITY))
    plain, first = PLAIN, there.to_storage(KEY, PLAIN)
    assert not there.stale(KEY)
    there = made(rule(new, old, IDENTITY))
    assert there.from_storage(KEY, first) == PLAIN
    assert there.stale(KEY)
    second = there.to_storage(KEY, PLAIN)
    assert second.startswith(b"k8s:enc:aescbc:v1:k2:")
    assert not there.stale(KEY)
    assert there.from_storage(KEY, plain) == PLAIN
    assert there.stale(KEY)
    there = made(rule(keyed("aescbc", ("k2", 2), ("k1", 1))))
    assert there.from_storage(KEY, first) == PLAIN and there.stale(KEY)
    assert there.from_storage(KEY, second) == PLAIN and not there.stale(KEY)


def test_encryption_is_given_up_with_identity_first():
    cbc = keyed("aescbc", ("k1", 1))
    stored = made(rule(cbc)).to_storage(KEY, PLAIN)
    there = made(rule(IDENTITY, cbc))
    assert there.from_storage(KEY, stored) == PLAIN and there.stale(KEY)
    assert there.to_storage(KEY, PLAIN) == PLAIN and not there.stale(KEY)


def test_rules_are_the_most_special_ones():
    there = made(
        rule(keyed("aescbc", ("s", 1)), resources=("secrets",)),
        rule(keyed("aescbc", ("apps", 1)), resources=("*.apps",)),
        rule(IDENTITY, resources=("configmaps",)),
        rule(keyed("aescbc", ("all", 1)), resources=("*.*",)),
    )
    for key, prefix in (
        (KEY, b"k8s:enc:aescbc:v1:s:"),
        ("/registry/deployments.apps/a/b", b"k8s:enc:aescbc:v1:apps:"),
        ("/registry/configmaps/a/b", b"{"),
        ("/registry/boats.example.com/a/b", b"k8s:enc:aescbc:v1:all:"),
    ):
        assert there.to_storage(key, PLAIN).startswith(prefix)


def test_off_changes_nothing():
    there = made()
    assert there.is_off and not there.asks
    assert there.to_storage(KEY, PLAIN) is PLAIN
    assert there.from_storage(KEY, PLAIN) is PLAIN
    assert not there.stale(KEY)

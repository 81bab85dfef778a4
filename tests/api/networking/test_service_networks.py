"""ServiceCIDRs and IPAddresses: rules, rows."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.networking.v1 import ipaddress, servicecidr
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

META = {"name": "more", "creationTimestamp": "2026-01-01T00:00:00Z"}
CIDR = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "ServiceCIDR",
    "metadata": META,
    "spec": {"cidrs": ["10.0.0.0/24"]},
}
TWO = ["10.0.0.0/24", "2001:db8::/112"]
CREATE: list[tuple[list[str], list[str]]] = [
    (["10.0.0.0/24"], []),
    (TWO, []),
    ([], ["spec.cidrs: Required value: at least one CIDR required"]),
    (
        [*TWO, "a"],
        ['spec.cidrs: Invalid value: {"CIDRs":["10.0.0.0/24","2001:db8::/112","a"]}: may only...'],
    ),
    (["a"], ['spec.cidrs[0]: Invalid value: "a": must be a valid CIDR value, ...']),
    (["2001:DB8::/32"], ['spec.cidrs[0]: Invalid value: "2001:DB8::/32": must be in canonical...']),
    (
        ["10.0.0.0/24", "10.1.0.0/24"],
        ["spec.cidrs: Invalid value: [..."],
    ),
]
UPDATE: list[tuple[list[str], list[str]]] = [
    (["10.0.0.0/24"], []),
    (TWO, []),
    (["10.0.0.0/25"], ['spec.cidrs[0]: Invalid value: "10.0.0.0/25": field is immutable']),
    ([], ["spec.cidrs: Invalid value: []: field is immutable"]),
    (["10.0.0.0/24", "x"], ['spec.cidrs[1]: Invalid value: "x": must be a valid CIDR value, ...']),
]


@pytest.mark.parametrize(("cidrs", "errors"), CREATE)
def test_create(cidrs: list[str], errors: list[str]) -> None:
    found = validation.create(servicecidr.RESOURCE, changed(CIDR, {"spec.cidrs": cidrs}))
    assert validation.agrees(found, errors), found


@pytest.mark.parametrize(("cidrs", "errors"), UPDATE)
def test_update(cidrs: list[str], errors: list[str]) -> None:
    found = validation.update(servicecidr.RESOURCE, changed(CIDR, {"spec.cidrs": cidrs}), CIDR)
    assert validation.agrees(found, errors), found


ADDRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IPAddress",
    "metadata": {**META, "name": "10.0.0.1"},
    "spec": {"parentRef": {"resource": "services", "namespace": "a", "name": "b"}},
}
PARENT = "spec.parentRef"
ADDRESSES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    (
        "not canonical",
        {"metadata.name": "2001:db8:0::1"},
        ['metadata.name: Invalid value: "2001:db8:0::1": must be in canonical form...'],
    ),
    ("nobody's", {"spec": {}}, ["spec.parentRef: Required value"]),
    ("of no kind", {f"{PARENT}.resource": REMOVED}, [f"{PARENT}.resource: Required value"]),
    ("of no name", {f"{PARENT}.name": ""}, [f"{PARENT}.name: Required value"]),
    ("in no place", {f"{PARENT}.namespace": "."}, [f"{PARENT}.namespace: Invalid value: ..."]),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in ADDRESSES], ids=[case[0] for case in ADDRESSES]
)
def test_addresses(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(ipaddress.RESOURCE, changed(ADDRESS, changes))
    assert validation.agrees(found, errors), found


def test_an_address_stays_with_who_has_it() -> None:
    new = changed(ADDRESS, {f"{PARENT}.name": "c"})
    found = validation.update(ipaddress.RESOURCE, new, ADDRESS)
    assert validation.agrees(found, ["spec.parentRef: Invalid value: ..."]), found


def test_rows() -> None:
    obj = validation.load(servicecidr.RESOURCE, changed(CIDR, {"spec.cidrs": TWO}))
    assert servicecidr.RESOURCE.row(obj, 1767225600.0) == [
        "more",
        "10.0.0.0/24,2001:db8::/112",
        "0s",
    ]
    address = validation.load(ipaddress.RESOURCE, changed(ADDRESS, {f"{PARENT}.group": "G.io"}))
    assert ipaddress.RESOURCE.row(address, 1767225600.0) == ["10.0.0.1", "services.g.io/a/b", "0s"]

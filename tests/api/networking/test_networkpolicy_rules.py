"""NetworkPolicies: defaults, rules, warnings, rows."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.networking.v1 import networkpolicy
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "x", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "podSelector": {"matchLabels": {"a": "b"}},
        "ingress": [
            {
                "from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
                "ports": [{"port": 80, "endPort": 90}],
            }
        ],
    },
}
BLOCK, PORT = "spec.ingress.0.from.0.ipBlock", "spec.ingress.0.ports.0"
AT, PORT_AT = "spec.ingress[0].from[0]", "spec.ingress[0].ports[0]"
CREATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("no peer", {BLOCK: REMOVED}, [f"{AT}: Required value: must specify a peer"]),
    (
        "block and selector",
        {"spec.ingress.0.from.0.podSelector": {}},
        [f"{AT}: Forbidden: may not specify both ipBlock and another peer"],
    ),
    ("no network", {f"{BLOCK}.cidr": ""}, [f"{AT}.ipBlock.cidr: Required value"]),
    ("bad network", {f"{BLOCK}.cidr": "x"}, [f'{AT}.ipBlock.cidr: Invalid value: "x": must be...']),
    (
        "bits beyond the prefix",
        {f"{BLOCK}.cidr": "10.0.0.1/8"},
        [f'{AT}.ipBlock.cidr: Invalid value: "10.0.0.1/8": must not have bits set beyond...'],
    ),
    (
        "not within",
        {f"{BLOCK}.except": ["11.0.0.0/16", "10.0.0.0/8", "2001:db8::/32"]},
        [
            f'{AT}.ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset...',
            f'{AT}.ipBlock.except[1]: Invalid value: "10.0.0.0/8": must be a strict subset...',
            f'{AT}.ipBlock.except[2]: Invalid value: "2001:db8::/32": must be a strict subset...',
        ],
    ),
    (
        "unknown protocol",
        {f"{PORT}.protocol": "x"},
        [f'{PORT_AT}.protocol: Unsupported value: "x": supported values: "TCP", "UDP", "SCTP"'],
    ),
    (
        "a range that ends before it begins",
        {f"{PORT}.endPort": 70},
        [f"{PORT_AT}.endPort: Invalid value: 80: must be greater than or equal to `port`"],
    ),
    (
        "a range from a name",
        {f"{PORT}.port": "http"},
        [f"{PORT_AT}.endPort: Invalid value: 90: may not be specified when `port` is non-numeric"],
    ),
    (
        "a range from nowhere",
        {f"{PORT}.port": REMOVED},
        [f"{PORT_AT}.endPort: Invalid value: 90: may not be specified when `port` is not spec..."],
    ),
    (
        "unknown type",
        {"spec.policyTypes": ["x"]},
        ['spec.policyTypes[0]: Unsupported value: "x": supported values: "Ingress", "Egress"'],
    ),
    (
        "three types",
        {"spec.policyTypes": ["Ingress"] * 3},
        ["spec.policyTypes: Invalid value: [..."],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in CREATE], ids=[case[0] for case in CREATE]
)
def test_create(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(networkpolicy.RESOURCE, changed(POLICY, changes))
    assert validation.agrees(found, errors), found


def test_what_a_policy_is_about() -> None:
    obj = validation.load(networkpolicy.RESOURCE, POLICY)
    assert obj.spec.policyTypes == ["Ingress"]
    assert obj.spec.ingress[0].ports[0].protocol == "TCP"
    both = validation.load(networkpolicy.RESOURCE, changed(POLICY, {"spec.egress": [{}]}))
    assert both.spec.policyTypes == ["Ingress", "Egress"]


def test_networks_that_were_there_may_stay() -> None:
    old = changed(POLICY, {f"{BLOCK}.cidr": "010.0.0.1/8"})
    assert validation.update(networkpolicy.RESOURCE, old, old) == []
    obj = validation.load(networkpolicy.RESOURCE, old)
    at = f"{AT}.ipBlock.cidr"
    assert networkpolicy.warnings(obj, obj) == [
        f'{at}: CIDR value "010.0.0.1/8" is ambiguous in this context '
        '(should be "10.0.0.0/8" or "10.0.0.1/32"?)',
        f'{at}: non-standard CIDR value "010.0.0.1/8" is invalid: use "10.0.0.0/8"',
    ]


def test_row() -> None:
    obj = validation.load(networkpolicy.RESOURCE, POLICY)
    assert networkpolicy.RESOURCE.row(obj, 1767225600.0 + 60) == ["x", "a=b", "60s"]

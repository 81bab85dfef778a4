"""Ingresses and IngressClasses: rules, warnings, rows."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.networking.v1 import ingress, ingressclass
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

NOW = 1767225600.0 + 60
META = {"name": "x", "namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"}
SERVICE = {"service": {"name": "web", "port": {"number": 80}}}
INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": META,
    "spec": {
        "ingressClassName": "edge",
        "tls": [{"hosts": ["a.example.com"], "secretName": "tls"}],
        "rules": [
            {
                "host": "a.example.com",
                "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": SERVICE}]},
            }
        ],
    },
}
PATH = "spec.rules.0.http.paths.0"
AT = "spec.rules[0].http.paths[0]"
CREATE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    (
        "nothing",
        {"spec": {}},
        ["spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"],
    ),
    (
        "an empty backend",
        {"spec.defaultBackend": {}},
        ['spec.defaultBackend: Invalid value: ""...'],
    ),
    (
        "both backends",
        {f"{PATH}.backend.resource": {"kind": "a", "name": "b"}},
        [f'{AT}.backend: Invalid value: "": cannot set both resource and service backends'],
    ),
    (
        "no port",
        {f"{PATH}.backend.service.port": {}},
        [f"{AT}.backend: Required value: port name or number is required"],
    ),
    (
        "two ports",
        {f"{PATH}.backend.service.port.name": "a"},
        [f'{AT}.backend: Invalid value: "": cannot set both port name & port number'],
    ),
    ("a name that begins with a digit", {f"{PATH}.backend.service.name": "1web"}, []),
    ("no path type", {f"{PATH}.pathType": REMOVED}, [f"{AT}.pathType: Required value: ..."]),
    (
        "unknown path type",
        {f"{PATH}.pathType": "Regex"},
        [f'{AT}.pathType: Unsupported value: "Regex": supported values: "Exact", ...'],
    ),
    ("relative path", {f"{PATH}.path": "a"}, [f'{AT}.path: Invalid value: "a": must be an abs...']),
    (
        "twisted path",
        {f"{PATH}.path": "/a//b/.."},
        [
            f"{AT}.path: Invalid value: \"/a//b/..\": must not contain '//'",
            f"{AT}.path: Invalid value: \"/a//b/..\": cannot end with '/..'",
        ],
    ),
    ("a path of its own kind", {f"{PATH}.pathType": "ImplementationSpecific"}, []),
    (
        "an address",
        {"spec.rules.0.host": "1.2.3.4"},
        ['spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address'],
    ),
    (
        "a star within",
        {"spec.tls.0.hosts.0": "a.*.b"},
        ['spec.tls[0].hosts[0]: Invalid value: "a.*.b": a wildcard DNS-1123 subdomain...'],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in CREATE], ids=[case[0] for case in CREATE]
)
def test_create(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(ingress.RESOURCE, changed(INGRESS, changes))
    assert validation.agrees(found, errors), found


def test_the_annotation_names_the_class_of_the_field() -> None:
    noted = {"metadata.annotations": {"kubernetes.io/ingress.class": "other"}}
    assert validation.create(ingress.RESOURCE, changed(INGRESS, noted)) == [
        'annotations.kubernetes.io/ingress.class: Invalid value: "other": '
        "must match `ingressClassName` when both are specified"
    ]
    # An update does not ask.
    assert validation.update(ingress.RESOURCE, changed(INGRESS, noted), INGRESS) == []
    alone = changed(INGRESS, {**noted, "spec.ingressClassName": REMOVED})
    assert ingress.warnings(validation.load(ingress.RESOURCE, alone), None) == [
        'annotation "kubernetes.io/ingress.class" is deprecated, please use '
        "'spec.ingressClassName' instead"
    ]


def test_old_errors_may_stay() -> None:
    old = changed(INGRESS, {"spec.tls.0.secretName": "Bad"})
    new = changed(old, {"spec.ingressClassName": "b"})
    assert validation.update(ingress.RESOURCE, new, old) == []
    assert validation.agrees(
        validation.update(ingress.RESOURCE, new, INGRESS), ["spec.tls[0].secretName..."]
    )
    wild = changed(INGRESS, {"spec.rules.0.host": "*.b.c", "spec.rules.0.http.paths": []})
    assert validation.update(ingress.RESOURCE, changed(wild, {"spec.tls": []}), wild) == []


def test_status() -> None:
    def status(*items: dict[str, Any]) -> dict[str, Any]:
        return {**INGRESS, "status": {"loadBalancer": {"ingress": list(items)}}}

    new = status({"ip": "010.0.0.1"}, {"hostname": "1.2.3.4"})
    found = validation.update(ingress.RESOURCE, new, INGRESS, "status")
    at = "status.loadBalancer.ingress"
    assert validation.agrees(
        found,
        [
            f'{at}[0].ip: Invalid value: "010.0.0.1": must not have leading 0s',
            f'{at}[1].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
        ],
    ), found
    old = status({"ip": "010.0.0.1"})
    assert validation.update(ingress.RESOURCE, old, old, "status") == []
    kept = validation.load(ingress.RESOURCE, status({"ip": "010.0.0.1"}, {"ip": "2001:DB8::1"}))
    assert ingress.status_warnings(kept, kept) == [
        f'{at}[0]: non-standard IP address "010.0.0.1" is invalid: use "10.0.0.1"',
        f'{at}[1]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format '
        '("2001:db8::1")',
    ]


def test_rows() -> None:
    many = [{"host": f"h{number}"} for number in range(5)]
    obj = validation.load(ingress.RESOURCE, changed(INGRESS, {"spec.rules": many}))
    assert ingress.RESOURCE.row(obj, NOW) == [
        "x",
        "edge",
        "h0,h1,h2 + 2 more...",
        "",
        "80, 443",
        "60s",
    ]
    bare = validation.load(ingress.RESOURCE, changed(INGRESS, {"spec": {"rules": [{}]}}))
    assert ingress.RESOURCE.row(bare, NOW) == ["x", "<none>", "*", "", "80", "60s"]


CLASS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "edge", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "controller": "example.com/edge",
        "parameters": {"apiGroup": "example.com", "kind": "Edge", "name": "wide"},
    },
}
SCOPE = "spec.parameters.scope"
CLASSES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("good", {}, []),
    ("no controller", {"spec.controller": ""}, ["spec.controller: Required value"]),
    ("no path", {"spec.controller": "a"}, ['spec.controller: Invalid value: "a": must be a d...']),
    (
        "in a namespace that is not named",
        {SCOPE: "Namespace"},
        ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
    ),
    (
        "of the cluster, in a namespace",
        {"spec.parameters.namespace": "a"},
        ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
    ),
    (
        "unknown scope",
        {SCOPE: "x"},
        [f'{SCOPE}: Unsupported value: "x": supported values: "Cluster", "Namespace"'],
    ),
]


@pytest.mark.parametrize(
    ("changes", "errors"), [case[1:] for case in CLASSES], ids=[case[0] for case in CLASSES]
)
def test_classes(changes: dict[str, Any], errors: list[str]) -> None:
    found = validation.create(ingressclass.RESOURCE, changed(CLASS, changes))
    assert validation.agrees(found, errors), found


def test_the_controller_stays() -> None:
    found = validation.update(
        ingressclass.RESOURCE, changed(CLASS, {"spec.controller": "a.b/c"}), CLASS
    )
    assert found == ['spec.controller: Invalid value: "a.b/c": field is immutable']


def test_the_row_of_the_default_class() -> None:
    notes = {"metadata.annotations": {ingressclass.IS_DEFAULT: "true"}}
    obj = validation.load(ingressclass.RESOURCE, changed(CLASS, notes))
    assert ingressclass.RESOURCE.row(obj, NOW) == [
        "edge (default)",
        "example.com/edge",
        "Edge.example.com/wide",
        "60s",
    ]

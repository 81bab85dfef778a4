"""Who owns what after the same writes: our API server beside upstream's own.

Needs the folder of upstream's ``kube-apiserver`` and ``etcd`` in UPSTREAM_BINARIES (ETCD may name
the latter). Every step is sent to both; status, managedFields, spec, data and errors must be equal.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

pytestmark = pytest.mark.interop

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
JSON = "application/json"
MAPS, PODS = "/api/v1/namespaces/t/configmaps", "/api/v1/namespaces/t/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/t/deployments"
SCALERS = "/apis/autoscaling/{}/namespaces/t/horizontalpodautoscalers"
Step = tuple[str, str, Any, str]


def named(kind: str, name: str, version: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **fields}


def config(**data: Any) -> dict[str, Any]:
    return named("ConfigMap", "a", data=data)


CONTAINER = {
    "name": "c",
    "image": "i",
    "ports": [
        {"containerPort": 80},
        {"containerPort": 443, "protocol": "TCP"},
        {"containerPort": 80, "protocol": "UDP"},
    ],
    "env": [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ],
    "resources": {"limits": {"cpu": "1000m"}},
    "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
}
SPEC = {
    "containers": [CONTAINER],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a"]}],
    "tolerations": [{"key": "x", "operator": "Exists"}],
}
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": SPEC}
SELECTOR = {"matchLabels": {"app": "x"}}
STATUS = {
    "phase": "Running",
    "podIPs": [{"ip": "10.0.0.1"}],
    "podIP": "10.0.0.1",
    "conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "False"}],
}


def deployment(name: str = "d", **spec: Any) -> dict[str, Any]:
    return named("Deployment", name, "apps/v1", spec=spec)


WHOLE = deployment(replicas=2, selector=SELECTOR, template=TEMPLATE)
WRONG = deployment(template={"spec": {"containers": [{"name": "c", "ports": [{}, {}]}]}})
POD = named("Pod", "p", spec=SPEC | {"automountServiceAccountToken": False})
FORGED = {
    "manager": "y",
    "operation": "Update",
    "apiVersion": "v1",
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:data": {"f:k": {}, "z:x": {}, 'k:{"b":1,"a":2.0}': {}, "v:1.5": {}}},
}
OWNERS = [
    {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
    for name, uid in (("a", "u1"), ("b", "u2"))
]


def scale(replicas: int) -> dict[str, Any]:
    return named("Scale", "d", "autoscaling/v1", spec={"replicas": replicas})


def scaler(version: str, **spec: Any) -> dict[str, Any]:
    return named("HorizontalPodAutoscaler", "h", f"autoscaling/{version}", spec=spec)


def target(name: str) -> dict[str, Any]:
    return {"kind": "Deployment", "name": name, "apiVersion": "apps/v1"}


SCALER = scaler("v1", maxReplicas=3, scaleTargetRef=target("d"), targetCPUUtilizationPercentage=50)


def owned(*owners: Any, finalizers: tuple[str, ...] = ()) -> dict[str, Any]:
    obj = named("ConfigMap", "own")
    obj["metadata"] |= {"ownerReferences": list(owners), "finalizers": list(finalizers)}
    return obj


def put_entries(entries: list[Any]) -> list[Any]:
    return [{"op": "add", "path": "/metadata/managedFields", "value": entries}]


STEPS: list[Step] = [
    ("POST", "/api/v1/namespaces", named("Namespace", "t"), JSON),
    ("POST", f"{PODS}?fieldManager=maker", POD, JSON),
    ("PATCH", f"{PODS}/p/status?fieldManager=let", {"status": STATUS}, STRATEGIC),
    ("PATCH", f"{PODS}/p/status?fieldManager=let", {"status": {"phase": "Failed"}}, MERGE),
    ("PATCH", f"{PODS}/p?fieldManager=lab", {"metadata": {"labels": {"z": "1"}}}, MERGE),
    ("PATCH", f"{PODS}/p?fieldManager=ap", named("Pod", "p"), APPLY),
    ("PATCH", f"{PODS}/p/status?fieldManager=ap", POD | {"status": {"message": "m"}}, APPLY),
    ("PATCH", f"{DEPLOYMENTS}/d?fieldManager=one", WHOLE, APPLY),
    ("PATCH", f"{DEPLOYMENTS}/d?fieldManager=one", WHOLE, APPLY),
    ("PATCH", f"{DEPLOYMENTS}/d?fieldManager=two", deployment(replicas=5, paused=True), APPLY),
    ("PATCH", f"{DEPLOYMENTS}/d?fieldManager=two&force=true", deployment(replicas=5), APPLY),
    ("PATCH", f"{DEPLOYMENTS}/d/scale?fieldManager=hpa", {"spec": {"replicas": 7}}, MERGE),
    ("GET", f"{DEPLOYMENTS}/d", None, JSON),
    ("PATCH", f"{DEPLOYMENTS}/d/scale?fieldManager=three", scale(1), APPLY),
    ("PATCH", f"{DEPLOYMENTS}/d/scale?fieldManager=three&force=true", scale(1), APPLY),
    ("GET", f"{DEPLOYMENTS}/d", None, JSON),
    ("PATCH", f"{DEPLOYMENTS}/d/status?fieldManager=st", {"status": {"replicas": 3}}, MERGE),
    ("PATCH", f"{DEPLOYMENTS}/d", WHOLE, APPLY),
    ("PATCH", f"{DEPLOYMENTS}/d?force=true", {}, MERGE),
    ("PATCH", f"{DEPLOYMENTS}/d?fieldManager=%01x", {}, MERGE),
    ("PATCH", f"{DEPLOYMENTS}/d?fieldManager={'x' * 129}", {}, MERGE),
    ("PATCH", f"{DEPLOYMENTS}/d?fieldManager=x", WHOLE | {"apiVersion": "v1"}, APPLY),
    ("PATCH", f"{DEPLOYMENTS}/other?fieldManager=x", WHOLE, APPLY),
    ("PATCH", f"{DEPLOYMENTS}/d?fieldManager=x", b"a: b: c", APPLY),
    ("PATCH", f"{DEPLOYMENTS}/d?fieldManager=x", b"[]", APPLY),
    ("PATCH", f"{MAPS}/a?fieldManager=one", config(x="1", y="2"), APPLY),
    ("PATCH", f"{MAPS}/a?fieldManager=two", config(x="2", y="3"), APPLY),
    ("PUT", f"{MAPS}/a?fieldManager=put", config(x="5", z="6"), JSON),
    ("PATCH", f"{MAPS}/a?fieldManager=one", config(y="2"), APPLY),
    ("PATCH", f"{MAPS}/a?fieldManager=one", {"metadata": {"managedFields": [{}]}}, MERGE),
    ("PATCH", f"{MAPS}/a?fieldManager=u", {"data": {"n": "m"}}, MERGE),
    ("PATCH", f"{MAPS}/a?fieldManager=one", config(y="2"), APPLY),
    ("PATCH", f"{MAPS}/a?fieldManager=one", config(q=None, r="1"), APPLY),
    ("PATCH", f"{MAPS}/a?fieldManager=x", put_entries([FORGED]), JSON_PATCH),
    ("PATCH", f"{MAPS}/a?fieldManager=x", put_entries([FORGED | {"apiVersion": ""}]), JSON_PATCH),
    ("PATCH", f"{MAPS}/a?fieldManager=x", put_entries([]), JSON_PATCH),
    ("PATCH", f"{MAPS}/own?fieldManager=q", owned(*OWNERS, finalizers=("b.io/b", "a.io/a")), APPLY),
    ("PATCH", f"{MAPS}/own?fieldManager=r", owned(OWNERS[1], finalizers=("c.io/c",)), APPLY),
    ("PATCH", f"{MAPS}/own?fieldManager=q", named("ConfigMap", "own"), APPLY),
    ("POST", f"{SCALERS.format('v1')}?fieldManager=q",
     SCALER, JSON),
    ("PATCH", f"{SCALERS.format('v2')}/h?fieldManager=w", {"spec": {"maxReplicas": 4}}, MERGE),
    ("GET", f"{SCALERS.format('v1')}/h", None, JSON),
    ("PATCH", f"{SCALERS.format('v1')}/h?fieldManager=z&force=true",
     scaler("v1", maxReplicas=9, scaleTargetRef=target("e")), APPLY),
]  # fmt: skip


def test_every_step_gives_the_same(both_servers: Any) -> None:
    (upstream, ours), token = both_servers
    for step in STEPS:
        assert _ask(ours, token, step) == _ask(upstream, token, step), step[:2]


def _ask(server: Any, token: str, step: Step) -> tuple[int, Any]:
    method, path, body, media = step
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": media, "User-Agent": "probe/1"}
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, context=server.context()) as answer:
            return answer.status, _essence(json.load(answer))
    except urllib.error.HTTPError as problem:
        return problem.code, json.load(problem)


def _essence(obj: dict[str, Any]) -> dict[str, Any]:
    meta = obj["metadata"]
    entries = meta.get("managedFields", [])
    for entry in entries:
        # That there is one is the point.
        entry["time"] = bool(entry.get("time"))
    entries.sort(key=lambda entry: json.dumps(entry, sort_keys=True))
    kept = {name: obj.get(name) for name in ("spec", "data", "status")}
    return kept | {"managedFields": entries, "generation": meta.get("generation")}

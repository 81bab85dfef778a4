"""Operators that come with webhooks, from their installation on.

A small server stands for their images: a certificate manager with two versions of a kind, a policy
engine that is asked about everything, a delivery tool that applies manifests again and again. Their
webhooks are behind Services, whose endpoints come late; authorities are injected by PATCH.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.apiserver import hook_server
from tests.apiserver.conftest import Asker
from tests.apiserver.hook_server import Handler, HookServer, configuration, patch, rule, webhook
from trireme.apiserver import outgoing
from trireme.apiserver.nodes import services
from trireme.testing import control_plane

HOOKS = "/apis/admissionregistration.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CERTS = "/apis/certs.example.io/{}/namespaces/default/certificates"
JSON_PATCH = {"content-type": "application/json-patch+json"}
APPLY = {"content-type": "application/apply-patch+yaml"}
NAME = "hooks.operators.svc"


@pytest.fixture
async def ask() -> AsyncIterator[Asker]:
    async with control_plane.api_server(post_start_hooks=True) as server:
        ask = Asker(server)
        namespace = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "operators"}}
        await ask.must("POST", "/api/v1/namespaces", namespace)
        await control_plane.account(server, "operators", "default")
        yield ask


def service(path: str) -> dict[str, Any]:
    return {"service": {"namespace": "operators", "name": "hooks", "path": path}}


async def run_pods(ask: Asker, port: int) -> None:
    """The operator's pods are ready."""
    made = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": "hooks"},
        "spec": {"ports": [{"name": "https", "port": 443, "targetPort": port}]},
    }
    await ask.must("POST", "/api/v1/namespaces/operators/services", made)
    endpoints = {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"name": "hooks", "labels": {"kubernetes.io/service-name": "hooks"}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": port}],
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
    }
    path = "/apis/discovery.k8s.io/v1/namespaces/operators/endpointslices"
    await ask.must("POST", path, endpoints)


@pytest.fixture
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses of pods lead to the loopback, where the operator listens, and where no Service
    leads otherwise."""
    monkeypatch.setattr(outgoing, "is_proxyable", lambda _: True)
    found = services.backends

    def backends(*args: Any) -> list[tuple[str, int]]:
        return [("127.0.0.1", port) for _, port in found(*args)]

    monkeypatch.setattr(services, "backends", backends)


async def inject(ask: Asker, path: str, at: str, server: HookServer) -> None:
    """What an injector of authorities does."""
    bundle = base64.b64encode(server.authority).decode()
    step = {"op": "add", "path": f"{at}/clientConfig/caBundle", "value": bundle}
    await ask.must("PATCH", path, [step], JSON_PATCH)


def definition() -> dict[str, Any]:
    def version(name: str, field: str, storage: bool) -> dict[str, Any]:
        names = {"type": "array", "items": TEXT}
        properties = {field: names, "issuer": TEXT, "days": {"type": "integer"}}
        spec = {"type": "object", "properties": properties}
        schema = {"type": "object", "properties": {"spec": spec}}
        return {
            "name": name,
            "served": True,
            "storage": storage,
            "schema": {"openAPIV3Schema": schema},
        }

    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": "certificates.certs.example.io"},
        "spec": {
            "group": "certs.example.io",
            "scope": "Namespaced",
            "names": {"plural": "certificates", "kind": "Certificate"},
            "versions": [version("v1", "dnsNames", True), version("v1alpha2", "hosts", False)],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {
                    "conversionReviewVersions": ["v1"],
                    "clientConfig": service("/convert"),
                },
            },
        },
    }


TEXT = {"type": "string"}


def certificate(version: str = "v1", **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Certificate",
        "apiVersion": f"certs.example.io/{version}",
        "metadata": {"name": "c"},
        "spec": spec,
    }


async def convert(request: web.Request) -> web.StreamResponse:
    review = await request.json()
    asked = review.pop("request")
    made = []
    for obj in asked["objects"]:
        spec = dict(obj["spec"])
        old, new = ("hosts", "dnsNames")
        if asked["desiredAPIVersion"].endswith("v1alpha2"):
            old, new = new, old
        if old in spec:
            spec[new] = spec.pop(old)
        made.append({**obj, "apiVersion": asked["desiredAPIVersion"], "spec": spec})
    response = {"uid": asked["uid"], "convertedObjects": made, "result": {"status": "Success"}}
    return web.json_response({**review, "response": response})


async def admit(request: web.Request) -> web.StreamResponse:
    """Defaults the days, refuses certificates without names; knows v1 only."""
    review = await request.json()
    asked = review.pop("request")
    spec = asked["object"]["spec"]
    response: dict[str, Any] = {"uid": asked["uid"], "allowed": True}
    if asked["kind"]["version"] != "v1" or "hosts" in spec:
        response |= {"allowed": False, "status": {"message": "not converted"}}
    elif request.path == "/mutate" and "days" not in spec:
        response |= patch({"op": "add", "path": "/spec/days", "value": 90})
    elif request.path == "/validate" and not spec.get("dnsNames"):
        status = {"code": 422, "reason": "Invalid", "message": "spec.dnsNames: Required value"}
        response |= {"allowed": False, "status": status}
    return web.json_response({**review, "response": response})


async def test_a_certificate_manager(ask: Asker, on_loopback: None) -> None:
    await ask.must("POST", CRDS, definition())
    while (await ask("GET", CERTS.format("v1")))[0] != 200:  # noqa: ASYNC110
        await asyncio.sleep(0)
    rules = [rule("certs.example.io", "v1", "certificates", "CREATE UPDATE")]
    for kind in ("Mutating", "Validating"):
        path = "/mutate" if kind == "Mutating" else "/validate"
        selector = {"matchExpressions": [{"key": "certs/disabled", "operator": "DoesNotExist"}]}
        hook = webhook(
            "webhook.certs.example.io",
            service(path),
            rules=rules,
            namespaceSelector=selector,
        )
        plural = f"{kind.lower()}webhookconfigurations"
        await ask.must("POST", f"{HOOKS}/{plural}", configuration(kind, "certs", hook))
    # Its pods are not there yet: its own kinds wait, nothing else does.
    status, got = await ask("POST", CERTS.format("v1"), certificate(dnsNames=["a.b"]))
    assert (status, got["reason"]) == (500, "InternalError")
    assert 'service "hooks" not found' in got["message"]
    config = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "m"}}
    await ask.must("POST", "/api/v1/namespaces/default/configmaps", config)
    handlers: dict[str, Handler] = {"/convert": convert, "/mutate": admit, "/validate": admit}
    async with hook_server.serve(handlers, names=(NAME,)) as server:
        await run_pods(ask, server.port)
        status, got = await ask("POST", CERTS.format("v1"), certificate(dnsNames=["a.b"]))
        assert status == 500
        assert "failed to verify certificate" in got["message"]
        for plural in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
            await inject(ask, f"{HOOKS}/{plural}/certs", "/webhooks/0", server)
        crd = f"{CRDS}/certificates.certs.example.io"
        await inject(ask, crd, "/spec/conversion/webhook", server)
        made = await ask.must("POST", CERTS.format("v1"), certificate(dnsNames=["a.b"]))
        assert made["spec"] == {"dnsNames": ["a.b"], "days": 90}
        # Equivalent: a write in the old version is shown to the webhooks in theirs.
        old = certificate("v1alpha2", hosts=["x.y"])
        old["metadata"]["name"] = "old"
        made = await ask.must("POST", CERTS.format("v1alpha2"), old)
        assert made["spec"] == {"hosts": ["x.y"], "days": 90}
        read = await ask.must("GET", f"{CERTS.format('v1')}/old")
        assert read["spec"] == {"dnsNames": ["x.y"], "days": 90}
        status, got = await ask("POST", CERTS.format("v1"), certificate(days=1))
        assert (status, got["reason"]) == (422, "Invalid")
        assert got["message"] == (
            'admission webhook "webhook.certs.example.io" denied the request: spec.dnsNames: '
            "Required value"
        )


def policy(asked: dict[str, Any]) -> dict[str, Any]:
    """Everything that is created has an owner."""
    obj = asked["object"]
    if asked["operation"] == "CREATE" and "owner" not in obj["metadata"].get("labels", {}):
        message = f"[must-have-owner] {asked['kind']['kind']} has no label owner"
        return {"allowed": False, "status": {"code": 403, "message": message}}
    return {"auditAnnotations": {"policy": "must-have-owner"}}


async def test_a_policy_engine(ask: Asker) -> None:
    async with hook_server.admission({"/admit": policy}) as server:
        hook = webhook(
            "validation.policy.example.io",
            server.client("/admit"),
            rules=[rule("*", "*", "*/*")],
            failurePolicy="Ignore",
            timeoutSeconds=3,
            namespaceSelector={
                "matchExpressions": [
                    {
                        "key": "kubernetes.io/metadata.name",
                        "operator": "NotIn",
                        "values": ["kube-system", "operators"],
                    }
                ]
            },
            matchConditions=[
                {
                    "name": "no-nodes",
                    "expression": "!('system:nodes' in request.userInfo.groups)",
                },
                {"name": "no-leases", "expression": "request.resource.resource != 'leases'"},
            ],
        )
        await ask.must(
            "POST",
            f"{HOOKS}/validatingwebhookconfigurations",
            configuration("Validating", "policy", hook),
        )
        maps = "/api/v1/namespaces/{}/configmaps"
        bare = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "m"}}
        status, got = await ask("POST", maps.format("default"), bare)
        assert (status, got["message"]) == (
            403,
            'admission webhook "validation.policy.example.io" denied the request: '
            "[must-have-owner] ConfigMap has no label owner",
        )
        status, _ = await ask("POST", f"{maps.format('default')}?dryRun=All", bare)
        assert status == 403
        await ask.must("POST", maps.format("kube-system"), bare)
        lease: dict[str, Any] = {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1"}
        lease |= {"metadata": {"name": "l"}, "spec": {}}
        await ask.must("POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases", lease)
        owned = {**bare, "metadata": {"name": "m", "labels": {"owner": "me"}}}
        await ask.must("POST", maps.format("default"), owned)
        await ask.must("DELETE", f"{maps.format('default')}/m")
        operations = [item["request"]["operation"] for item in server.seen["/admit"]]
        assert operations == ["CREATE", "CREATE", "CREATE", "DELETE"]
    # The engine is gone: it ignores its own absence.
    await ask.must("POST", maps.format("default"), bare)


async def test_a_delivery_tool_finds_no_drift(ask: Asker) -> None:
    def labelled(asked: dict[str, Any]) -> dict[str, Any]:
        if "team" in asked["object"]["metadata"].get("labels", {}):
            return {}
        steps = [{"op": "add", "path": "/metadata/labels/team", "value": "a"}]
        return patch(*steps)

    async with hook_server.admission({"/label": labelled}) as server:
        rules = [rule("apps core", "v1", "deployments configmaps", "CREATE UPDATE")]
        hook = webhook(
            "label.example.io", server.client("/label"), rules=rules, reinvocationPolicy="IfNeeded"
        )
        await ask.must(
            "POST", f"{HOOKS}/mutatingwebhookconfigurations", configuration("Mutating", "l", hook)
        )
        manifest = {
            "kind": "Deployment",
            "apiVersion": "apps/v1",
            "metadata": {"name": "d", "labels": {"app": "d"}},
            "spec": {
                "selector": {"matchLabels": {"app": "d"}},
                "template": {
                    "metadata": {"labels": {"app": "d"}},
                    "spec": {"containers": [{"name": "c", "image": "i"}]},
                },
            },
        }
        path = "/apis/apps/v1/namespaces/default/deployments/d?fieldManager=delivery"
        tried = await ask.must("PATCH", f"{path}&dryRun=All", manifest, APPLY)
        assert tried["metadata"]["labels"] == {"app": "d", "team": "a"}
        made = await ask.must("PATCH", path, manifest, APPLY)
        again = await ask.must("PATCH", path, manifest, APPLY)
        # What the webhook added is nobody's, stays, and is no difference.
        assert again["metadata"]["labels"] == {"app": "d", "team": "a"}
        assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        (entry,) = again["metadata"]["managedFields"]
        assert entry["fieldsV1"]["f:metadata"]["f:labels"] == {"f:app": {}}

"""An aggregated API server, metrics.k8s.io, behind a real cluster: what kubectl makes of it."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from tests.interop.cluster import Kubectl, needs_kubectl, needs_root, until
from trireme.kit import pki, tls

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]

GROUP = "metrics.k8s.io"
BASE = f"/apis/{GROUP}/v1beta1"
AUTHORITY = pki.new_authority("metrics-ca", time.time())
SERVING = pki.issue(
    AUTHORITY, "metrics", time.time(), names=("metrics.kube-system.svc",), server=True
)
USAGE = {"cpu": "123m", "memory": "64Mi"}


def _resource(name: str, kind: str, namespaced: bool) -> dict[str, Any]:
    return {
        "name": name,
        "singularName": "",
        "namespaced": namespaced,
        "kind": kind,
        "verbs": ["get", "list"],
    }


def _metrics(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "apiVersion": f"{GROUP}/v1beta1",
        "metadata": {"name": name},
        "timestamp": "2026-01-01T00:00:00Z",
        "window": "10s",
        **more,
    }


def _list(kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "kind": f"{kind}List",
        "apiVersion": f"{GROUP}/v1beta1",
        "metadata": {},
        "items": items,
    }


ANSWERS: dict[str, Any] = {
    BASE: {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/v1beta1",
        "resources": [
            _resource("nodes", "NodeMetrics", False),
            _resource("pods", "PodMetrics", True),
        ],
    },
    f"{BASE}/nodes": _list("NodeMetrics", [_metrics("NodeMetrics", "node-0", usage=USAGE)]),
    f"{BASE}/namespaces/default/pods": _list(
        "PodMetrics",
        [_metrics("PodMetrics", "web", containers=[{"name": "c", "usage": USAGE}])],
    ),
}


class Handler(BaseHTTPRequestHandler):
    """Notes who asks, and for what."""

    asked: list[tuple[str, str, bool]]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        assert isinstance(self.connection, ssl.SSLSocket)
        proved = bool(self.connection.getpeercert(binary_form=True))
        self.asked.append((self.headers.get("X-Remote-User", ""), path, proved))
        body = json.dumps(ANSWERS.get(path, {"kind": "Status"})).encode()
        self.send_response(200 if path in ANSWERS else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def metrics(cluster: Kubectl) -> Iterator[list[tuple[str, str, bool]]]:
    """A metrics server at the cluster's own address of this host; what it was asked."""
    [kubernetes] = cluster.json("endpointslices", "kubernetes")["endpoints"]
    [address] = kubernetes["addresses"]
    handler = type("Noting", (Handler,), {"asked": []})
    server = ThreadingHTTPServer((address, 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_pair(context, SERVING)
    # Its clients show the front proxy's certificate; whose that is has no part in this.
    authority = cluster.json("-n", "kube-system", "cm", "extension-apiserver-authentication")
    context.load_verify_locations(cadata=authority["data"]["requestheader-client-ca-file"])
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    text = yaml.safe_dump_all(_objects(address, server.server_address[1]))
    cluster("apply", "-f", "-", given=text)
    try:
        yield handler.asked  # type: ignore[attr-defined]
    finally:
        cluster("delete", "-f", "-", given=text)
        server.shutdown()
        server.server_close()
        thread.join()


def _objects(address: str, port: int) -> list[dict[str, Any]]:
    meta = {"name": "metrics", "namespace": "kube-system"}
    labels = {"kubernetes.io/service-name": "metrics"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": port}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}],
            "ports": [{"name": "https", "port": port}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"v1beta1.{GROUP}"},
            "spec": {
                "group": GROUP,
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "caBundle": base64.b64encode(AUTHORITY.certificate).decode(),
                "service": {"namespace": "kube-system", "name": "metrics"},
            },
        },
    ]


def test_kubectl_top(cluster: Kubectl, metrics: list[tuple[str, str, bool]]) -> None:
    cluster("wait", "apiservice", f"v1beta1.{GROUP}", "--for=condition=Available", "--timeout=60s")
    listed = until(lambda: "NodeMetrics" in cluster("api-resources", f"--api-group={GROUP}"))
    assert listed
    nodes = cluster("top", "nodes").splitlines()
    assert nodes[1].split()[:2] == ["node-0", "123m"]
    assert "64Mi" in cluster("top", "pods", "-n", "default")
    assert cluster("get", f"nodes.{GROUP}").splitlines()[1].startswith("node-0")
    assert ("kubernetes-admin", f"{BASE}/nodes", True) in metrics
    # Others' rights are looked at here, before anything is passed on.
    before = len(metrics)
    refused = cluster("get", "--raw", f"{BASE}/nodes", "--as=jane", fails=True)
    assert "forbidden" in refused and len(metrics) == before

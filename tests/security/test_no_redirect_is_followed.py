"""The API server follows no redirect of a kubelet, a pod, a Service or a webhook.

What they control could otherwise make it act elsewhere, with its own certificate. Upstream:
PreventRedirects of apiserver ``registry/generic/rest``, UpgradeAwareHandler.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.security import servers
from trireme.apiserver import outgoing
from trireme.machinery.errors import ApiError

PODS = "/api/v1/namespaces/default/pods"


async def test_a_kubelets(asking: Any) -> None:
    pair = servers.serving("n1", "127.0.0.1")
    async with (
        servers.server(pair=servers.serving("n2", "127.0.0.1")) as other,
        servers.server(servers.redirects_to(other.port), pair) as kubelet,
        asking(None, kubelets=servers.ACCESS) as ask,
    ):
        await ask.must("POST", "/api/v1/nodes", servers.node("n1", kubelet.port))
        await ask.must("POST", PODS, servers.pod("p", "n1"))
        status, answer = await ask("GET", f"{PODS}/p/log")
        assert status == 500
        assert answer["message"].endswith("redirects forbidden")
        with pytest.raises(ApiError, match="invalid upgrade response: status code 307"):
            await ask.server.context.kubelets.upgrade("n1", "/exec/default/p/c", "", "SPDY/3.1", {})
        assert len(kubelet) == 2
        assert not other


async def test_a_nodes_or_pods_is_the_clients_to_follow(
    asking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Loopback is where tests may listen.
    monkeypatch.setattr(outgoing, "is_proxyable", lambda address: True)
    pair = servers.serving("n1", "127.0.0.1")
    async with (
        servers.server() as other,
        servers.server(servers.redirects_to(other.port, "http"), pair) as kubelet,
        servers.server(servers.redirects_to(other.port, "http")) as backend,
        asking(None, kubelets=servers.ACCESS) as ask,
    ):
        await ask.must("POST", "/api/v1/nodes", servers.node("n1", kubelet.port))
        status = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
        made = await ask.must("POST", PODS, servers.pod("p"))
        await ask.must("PUT", f"{PODS}/p/status", made | {"status": status})
        for path in (
            "/api/v1/nodes/n1/proxy/x",
            f"/api/v1/nodes/n1:{backend.port}/proxy/x",
            f"{PODS}/p:{backend.port}/proxy/x",
        ):
            answer = await ask.answer("GET", path)
            assert answer.status == 307
            assert answer.headers["Location"] == f"http://127.0.0.1:{other.port}/x"
        assert not other


async def test_a_webhooks(asking: Any) -> None:
    pair = servers.serving("n1", "127.0.0.1")
    async with (
        servers.server(pair=pair) as other,
        servers.server(servers.redirects_to(other.port), pair) as hook,
        asking(None) as ask,
    ):

        class Config:
            url = f"https://127.0.0.1:{hook.port}/convert"
            service = None
            caBundle = servers.AUTHORITY.certificate

        answer = await ask.server.context.hooks(Config, base64.b64encode(b"{}"), 5.0)
        assert answer.status == 307
        assert (len(hook), len(other)) == (1, 0)


def test_there_is_one_way_out() -> None:
    source = Path(outgoing.__file__).parent
    found = [
        path.name
        for path in source.rglob("*.py")
        if "ClientSession" in path.read_text() or "open_connection" in path.read_text()
    ]
    assert found == ["outgoing.py"]

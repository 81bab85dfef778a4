"""pods/proxy, services/proxy and nodes/proxy lead to global unicast addresses of pods and nodes.

Not to loopback, link-local or multicast addresses, whatever a status or a name says: decided when
the address is dialled, after its name was resolved. A Service leads to pods of its own namespace,
by endpoints that name them and have their address. Upstream: ResourceLocation of pkg/registry/core.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.security import servers
from trireme.apiserver import outgoing

DEFAULT = "/api/v1/namespaces/default"
FORBIDDEN = ("127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "::1", "fe80::1", "ff02::1")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.0.0.1", True),
        ("192.168.1.1", True),
        ("8.8.8.8", True),
        ("2001:db8::1", True),
        ("fd00::1", True),
        ("127.0.0.1", False),
        ("127.255.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.251", False),
        ("239.1.2.3", False),
        ("255.255.255.255", False),
        ("0.0.0.0", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("fe80::1%eth0", False),
        ("ff02::1", False),
    ],
)
def test_addresses(address: str, allowed: bool) -> None:
    assert outgoing.is_proxyable(address) is allowed


async def give_address(ask: Any, name: str, ip: str) -> None:
    made = await ask.must("POST", f"{DEFAULT}/pods", servers.pod(name))
    status = {"podIP": ip, "podIPs": [{"ip": ip}]}
    await ask.must("PUT", f"{DEFAULT}/pods/{name}/status", made | {"status": status})


@pytest.mark.parametrize("ip", FORBIDDEN)
async def test_a_pod_that_says_it_has_such_an_address(asking: Any, ip: str) -> None:
    async with servers.server() as backend, asking(None) as ask:
        await give_address(ask, "p", ip)
        status, answer = await ask("GET", f"{DEFAULT}/pods/p:{backend.port}/proxy/")
        assert (status, answer["message"]) == (400, "address not allowed")
        assert not backend


@pytest.mark.parametrize(
    "address",
    [("InternalIP", "127.0.0.1"), ("Hostname", "localhost"), ("InternalIP", "169.254.169.254")],
)
async def test_a_node_that_says_it_has_one(asking: Any, address: tuple[str, str]) -> None:
    pair = servers.serving("n1", "127.0.0.1", "localhost")
    async with (
        servers.server(pair=pair) as kubelet,
        servers.server() as backend,
        asking(None, kubelets=servers.ACCESS) as ask,
    ):
        await ask.must("POST", "/api/v1/nodes", servers.node("n1", kubelet.port, address))
        for name in ("n1", f"n1:{kubelet.port}", f"n1:{backend.port}"):
            status, answer = await ask("GET", f"/api/v1/nodes/{name}/proxy/pods")
            assert (status, answer["message"]) == (400, "address not allowed")
        assert not kubelet
        assert not backend


ANOTHER = {"kind": "Pod", "namespace": "kube-system", "name": "p"}
ITS_POD = {"kind": "Pod", "namespace": "default", "name": "p"}


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ({"ip": "10.0.0.1", "targetRef": ITS_POD}, True),
        ({"ip": "10.0.0.1"}, False),
        ({"ip": "10.0.0.1", "targetRef": ANOTHER}, False),
        ({"ip": "10.0.0.2", "targetRef": ITS_POD}, False),
        ({"ip": "10.0.0.1", "targetRef": ITS_POD | {"name": "gone"}}, False),
    ],
)
async def test_a_services_endpoints(
    asking: Any, monkeypatch: pytest.MonkeyPatch, address: dict[str, Any], reached: bool
) -> None:
    async with asking(None) as ask:
        dialled: list[str] = []

        async def fetch(method: str, url: str, *_rest: Any) -> None:
            dialled.append(url)
            raise ConnectionError

        monkeypatch.setattr(ask.server.context.kubelets, "fetch", fetch)
        await give_address(ask, "p", "10.0.0.1")
        service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
        await ask.must("POST", f"{DEFAULT}/services", service)
        subset = {"addresses": [address], "ports": [{"port": 8080}]}
        endpoints = {"metadata": {"name": "s"}, "subsets": [subset]}
        await ask.must("POST", f"{DEFAULT}/endpoints", endpoints)
        status, answer = await ask("GET", f"{DEFAULT}/services/s:80/proxy/x")
        if reached:
            assert dialled == ["http://10.0.0.1:8080/x"]
        else:
            assert (status, dialled) == (503, [])
            assert answer["message"] == 'no endpoints available for service "s:80"'


async def test_a_webhook_behind_a_service_of_such_a_name(asking: Any) -> None:
    """Who may write a Service does not decide that the API server speaks to its own host."""
    pair = servers.serving("n1", "s.default.svc")
    async with servers.server(pair=pair) as hook, asking(None) as ask:
        spec = {"type": "ExternalName", "externalName": "localhost"}
        await ask.must("POST", f"{DEFAULT}/services", {"metadata": {"name": "s"}, "spec": spec})

        class Config:
            url = ""
            caBundle = servers.AUTHORITY.certificate

            class service:
                namespace, name, path, port = "default", "s", "/", hook.port

        with pytest.raises(OSError, match="address not allowed"):
            await ask.server.context.hooks(Config, b"{}", 5.0)
        assert not hook

"""A kubelet is known by a serving certificate of its own node: another node's does not pass.

The certificate has to be valid for the address in the Node that is dialled (upstream,
--kubelet-certificate-authority), and may not be one that the kubelet-serving signer made for
another node, whatever addresses a node says it has.
"""

from __future__ import annotations

from typing import Any

import pytest
import uvloop

from tests.security import servers
from trireme.apiserver import outgoing
from trireme.kit import pki
from trireme.kit.pki import Pair
from trireme.machinery.errors import ApiError

PODS = "/api/v1/namespaces/default/pods"
OTHER = pki.new_authority("other", servers.NOW)
UNNAMED = pki.issue(servers.AUTHORITY, "kubelet", servers.NOW, names=("127.0.0.1",), server=True)


def of(authority: Pair, user: str, *names: str) -> Pair:
    return pki.issue(authority, user, servers.NOW, names=names, server=True)


CASES = [
    pytest.param(servers.serving("n1", "n1", "127.0.0.1"), True, id="its own"),
    pytest.param(UNNAMED, True, id="names no node"),
    pytest.param(servers.serving("n2", "n2", "192.0.2.2"), False, id="another node's"),
    pytest.param(servers.serving("n2", "n2", "127.0.0.1"), False, id="another's, whose address"),
    pytest.param(servers.serving("n1", "n1", "192.0.2.2"), False, id="another address"),
    pytest.param(servers.serving("n1"), False, id="no address"),
    pytest.param(of(servers.AUTHORITY, "127.0.0.1"), False, id="a common name is no address"),
    pytest.param(of(OTHER, "system:node:n1", "127.0.0.1"), False, id="another authority"),
]


async def reached(asking: Any, pair: Pair) -> list[int]:
    """The statuses of a log, an exec, a proxied request; 200 and 101 are those of the kubelet."""
    async with (
        servers.server(pair=pair) as kubelet,
        asking(None, kubelets=servers.ACCESS) as ask,
    ):
        await ask.must("POST", "/api/v1/nodes", servers.node("n1", kubelet.port))
        await ask.must("POST", PODS, servers.pod("p", "n1"))
        statuses = [
            (await ask.answer("GET", path)).status
            for path in (f"{PODS}/p/log", "/api/v1/nodes/n1/proxy/pods")
        ]
        with pytest.raises(ApiError):
            await ask.server.context.kubelets.upgrade("n1", "/exec", "", "SPDY/3.1", {})
        assert len(kubelet) in (0, 3)
        return [*statuses, len(kubelet)]


@pytest.mark.parametrize(("pair", "passes"), CASES)
async def test_certificates(
    asking: Any, monkeypatch: pytest.MonkeyPatch, pair: Pair, passes: bool
) -> None:
    monkeypatch.setattr(outgoing, "is_proxyable", lambda address: True)
    expected = [200, 200, 3] if passes else [500, 503, 0]
    assert await reached(asking, pair) == expected


def test_so_it_is_on_the_loop_that_clusters_run_on(
    asking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "is_proxyable", lambda address: True)
    own = servers.serving("n1", "127.0.0.1")
    others = servers.serving("n2", "127.0.0.1")
    assert uvloop.run(reached(asking, own)) == [200, 200, 3]
    assert uvloop.run(reached(asking, others)) == [500, 503, 0]


async def test_connections_to_two_nodes_at_one_address_are_not_mixed(asking: Any) -> None:
    """A node that claims another's address does not get that one's open connection."""
    async with (
        servers.server(pair=servers.serving("n1", "127.0.0.1")) as kubelet,
        asking(None, kubelets=servers.ACCESS) as ask,
    ):
        for name in ("n1", "n2"):
            await ask.must("POST", "/api/v1/nodes", servers.node(name, kubelet.port))
            await ask.must("POST", PODS, servers.pod(name, name))
        assert (await ask.answer("GET", f"{PODS}/n1/log")).status == 200
        answer = await ask.answer("GET", f"{PODS}/n2/log")
        assert answer.status == 500
        assert b"failed to verify certificate" in answer.body
        assert len(kubelet) == 1

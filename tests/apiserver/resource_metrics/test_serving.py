"""metrics.k8s.io over the API server's own way of a request, with kubelets that the test plays."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.apiserver import chain
from trireme.apiserver.nodes.contract import NodeAnswer
from trireme.apiserver.request import Request, User
from trireme.apiserver.resource_metrics import scrape
from trireme.apiserver.server import ApiServer
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.machinery.meta import ObjectMeta
from trireme.testing import clients, control_plane, virtual

ADMIN = User("admin", groups=("system:masters",))
BASE = "/apis/metrics.k8s.io/v1beta1"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PROTOBUF = "application/vnd.kubernetes.protobuf"


class Kubelets:
    """Half a core and 64 MiB on each node, in one container; "lost" does not answer."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self.asked: list[str] = []
        self.body = b""

    async def request(self, node: str, method: str, path: str, query: str) -> NodeAnswer:
        assert (method, path, query) == ("GET", "/metrics/resource", "")
        self.asked.append(node)
        if node == "lost":
            raise errors.service_unavailable("no route to host")
        now = self._env.clock.now()
        labels = f'{{container="main",namespace="default",pod="on-{node}"}}'
        text = (
            f"container_cpu_usage_seconds_total{labels} {now / 2} {int(now * 1000)}\n"
            f"container_memory_working_set_bytes{labels} 6.7108864e+07\n"
            f"node_cpu_usage_seconds_total {now}\nnode_memory_working_set_bytes 1.5e+09\n"
        )
        return NodeAnswer(200, _chunks(self.body or text.encode()))

    async def close(self) -> None: ...


async def _chunks(body: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(body), 1 << 20):
        yield body[start : start + (1 << 20)]


@asynccontextmanager
async def site(env: Env, *nodes: str) -> AsyncIterator[tuple[ApiServer, Kubelets]]:
    kubelets = Kubelets(env)
    config: dict[str, Any] = {"kubelet_transport": kubelets, "resource_metrics": True}
    async with control_plane.api_server(env, **config) as server:
        client = clients.client(server)
        for name in nodes:
            await client.create(Node(metadata=ObjectMeta(name=name, labels={"disk": name})))
            meta = ObjectMeta(name=f"on-{name}", namespace="default", labels={"app": name})
            spec = PodSpec(nodeName=name, containers=[Container(name="main", image="i:1")])
            await client.create(Pod(metadata=meta, spec=spec))
        yield server, kubelets


async def get(server: ApiServer, path: str, accept: str = "", query: str = "") -> Any:
    headers = {"accept": accept} if accept else {}
    answer = await chain.handle(server, Request("GET", BASE + path, query, headers, user=ADMIN))
    return answer.status, answer.body if accept == PROTOBUF else msgspec.json.decode(answer.body)


@virtual.test(seed=1)
async def test_nodes_and_pods(env: Env) -> None:
    async with site(env, "n1", "n2") as (server, _):
        _, nodes = await get(server, "/nodes")
        assert nodes["kind"] == "NodeMetricsList"
        assert [item["metadata"]["name"] for item in nodes["items"]] == ["n1", "n2"]
        first = nodes["items"][0]
        assert first["metadata"]["labels"] == {"disk": "n1"}
        assert first["window"] == "1s" and first["usage"] == {"cpu": "1", "memory": "1500000000"}
        status, pod = await get(server, "/namespaces/default/pods/on-n2")
        assert status == 200 and pod["containers"] == [
            {"name": "main", "usage": {"cpu": "500m", "memory": "64Mi"}}
        ]
        _, some = await get(server, "/namespaces/default/pods", query="labelSelector=app%3Dn1")
        assert [item["metadata"]["name"] for item in some["items"]] == ["on-n1"]
        _, table = await get(server, "/nodes/n1", accept=TABLE)
        assert table["rows"][0]["cells"] == ["n1", "1", "1500000000", "1s"]
        status, raw = await get(server, "/pods", accept=PROTOBUF)
        assert status == 200 and raw[:4] == b"k8s\0" and b"on-n1" in raw


@virtual.test(seed=1)
async def test_kubelets_are_asked_when_somebody_wants_to_know(env: Env) -> None:
    async with site(env, "n1") as (server, kubelets):
        await env.clock.sleep(3600)
        assert not kubelets.asked
        await get(server, "/nodes")
        # Twice: one answer is no rate.
        assert len(kubelets.asked) == 2
        await get(server, "/pods")
        await env.clock.sleep(scrape.RESOLUTION - 1)
        await get(server, "/nodes")
        assert len(kubelets.asked) == 2
        await env.clock.sleep(1)
        _, nodes = await get(server, "/nodes")
        assert len(kubelets.asked) == 3
        assert nodes["items"][0]["window"] == "15s"


@virtual.test(seed=1)
async def test_what_is_not_measured_is_left_out(env: Env) -> None:
    async with site(env, "n1", "lost") as (server, _):
        _, nodes = await get(server, "/nodes")
        assert [item["metadata"]["name"] for item in nodes["items"]] == ["n1"]
        status, problem = await get(server, "/namespaces/default/pods/on-lost")
        assert status == 404
        assert problem["message"] == 'pods.metrics.k8s.io "default/on-lost" not found'
        assert (await get(server, "/nodes/none"))[0] == 404


@virtual.test(seed=1)
async def test_a_kubelet_that_never_ends_is_given_up(env: Env) -> None:
    async with site(env, "n1") as (server, kubelets):
        kubelets.body = b"x 1\n" * (scrape.LARGEST // 4 + 1)
        status, nodes = await get(server, "/nodes")
        assert status == 200 and nodes["items"] == []


@virtual.test(seed=1)
async def test_it_is_not_there_unless_configured(env: Env) -> None:
    async with control_plane.api_server(env) as server:
        answer = await chain.handle(server, Request("GET", BASE + "/nodes", "", {}, user=ADMIN))
        assert answer.status == 404

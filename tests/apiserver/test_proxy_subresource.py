"""HTTP through the API server to pods and Services: a real server on loopback is the pod."""

import gzip
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from trireme.api.core.v1.endpoints import EndpointAddress, EndpointPort, Endpoints, EndpointSubset
from trireme.api.core.v1.pod.container import Container, ContainerPort
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.status import PodIP
from trireme.api.core.v1.references import ObjectReference
from trireme.api.core.v1.service import Service, ServicePort, ServiceSpec
from trireme.apiserver import chain, outgoing
from trireme.apiserver.reply import pages
from trireme.apiserver.reply.reply import Aborted, Reply, StreamReply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.apiserver.subresources import proxy
from trireme.machinery.errors import ApiError, bad_request
from trireme.machinery.meta import ObjectMeta
from trireme.testing import clients, control_plane

ADMIN = User("admin", groups=("system:masters", "system:authenticated"))
LARGE = b"<a href='/x'>x</a>" * (pages.LIMIT // 15)


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loopback is where tests may listen."""
    monkeypatch.setattr(outgoing, "is_proxyable", lambda address: True)
    yield


@asynccontextmanager
async def pod_server() -> AsyncIterator[int]:
    """Answers with what it was asked; /away redirects to /there."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/away":
            return web.Response(status=302, headers={"Location": "/there?x=1"})
        if request.path == "/page":
            page = web.Response(text='<a href="/x">x</a>', content_type="text/html")
            if "gzip" in request.query_string:
                page.enable_compression(web.ContentCoding.gzip)
            return page
        if request.path == "/large":
            return web.Response(body=LARGE, content_type="text/html")
        if request.path == "/bomb":
            headers = {"Content-Encoding": "gzip", "Content-Type": "text/html"}
            return web.Response(body=gzip.compress(LARGE), headers=headers)
        if request.path == "/broken":
            headers = {"Content-Encoding": "gzip", "Content-Type": "text/html"}
            return web.Response(body=b"no gzip", headers=headers)
        if request.path == "/cut":
            cut = web.StreamResponse(headers={"Content-Length": "10"})
            await cut.prepare(request)
            await cut.write(b"half")
            assert request.transport is not None
            request.transport.close()
            return cut
        body = (await request.read()).decode()
        text = f"{request.method} {request.path_qs} {request.headers.get('X-A', '')} {body}"
        return web.Response(status=201 if body else 200, text=text, headers={"X-B": "c"})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def cluster() -> AsyncIterator[ApiServer]:
    """An API server with a pod whose port ``http`` is the server's, and Services of another."""
    async with control_plane.api_server() as server, pod_server() as port:
        client = clients.client(server)
        pod = Pod(
            metadata=ObjectMeta(name="p", namespace="default"),
            spec=PodSpec(
                containers=[
                    Container(
                        name="c",
                        image="i:1",
                        ports=[ContainerPort(name="http", containerPort=port)],
                    )
                ]
            ),
        )
        for name, ip in (("p", "127.0.0.1"), ("q", "10.0.0.1")):
            pod.metadata = ObjectMeta(name=name, namespace="default")
            made = await client.create(pod)
            made.status.podIP = ip
            made.status.podIPs = [PodIP(ip=ip)]
            await client.update_status(made)
        for name, ports in (("one", {"": 80}), ("two", {"a": 80, "b": 81})):
            meta = ObjectMeta(name=name, namespace="default")
            listed = [ServicePort(name=key, port=number) for key, number in ports.items()]
            await client.create(Service(metadata=meta, spec=ServiceSpec(ports=listed)))
            ref = ObjectReference(kind="Pod", namespace="default", name="q")
            subset = EndpointSubset(
                addresses=[EndpointAddress(ip="10.0.0.1", targetRef=ref)],
                ports=[EndpointPort(name=key, port=port) for key in ports],
            )
            await client.create(Endpoints(metadata=meta, subsets=[subset]))
        yield server


async def ask(
    server: ApiServer,
    path: str,
    query: str = "",
    method: str = "GET",
    body: bytes = b"",
    kind: str = "pods",
) -> tuple[int, str, Any]:
    base = f"/api/v1/namespaces/default/{kind}/"
    headers = {"x-a": "b", "authorization": "Bearer secret"}
    request = Request(method, base + path, query, headers, body, user=ADMIN)
    answer = await chain.handle(server, request)
    if isinstance(answer, StreamReply):
        text = b"".join([chunk async for chunk in answer.chunks]).decode()
        return answer.status, text, answer.headers
    assert isinstance(answer, Reply)
    return answer.status, answer.body.decode(), answer.headers


@pytest.mark.parametrize("name", ["p", "p:http", "http:p:http"])
async def test_requests_reach_the_pod(name: str) -> None:
    async with cluster() as server:
        status, text, headers = await ask(server, f"{name}/proxy//a/../b%20c/", "q=1&q=%20")
        assert (status, text) == (200, "GET /b%20c/?q=1&q=%20 b ")
        assert headers["X-B"] == "c"
        status, text, _ = await ask(server, f"{name}/proxy", "", "POST", b"hi")
        assert (status, text) == (201, "POST / b hi")


async def test_a_redirect_leads_through_the_proxy_again() -> None:
    async with cluster() as server:
        status, _, headers = await ask(server, "p/proxy/away")
        assert status == 302
        assert headers["Location"] == "/api/v1/namespaces/default/pods/p/proxy/there?x=1"


@pytest.mark.parametrize("query", ["", "gzip"])
async def test_the_links_of_a_page_lead_through_the_proxy(query: str) -> None:
    async with cluster() as server:
        status, text, headers = await ask(server, "p/proxy/page", query)
        assert status == 200
        assert text == '<a href="/api/v1/namespaces/default/pods/p/proxy/x">x</a>'
        assert "Content-Encoding" not in headers


@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "PATCH", "POST", "PUT"])
async def test_every_method_is_passed_on(method: str) -> None:
    async with cluster() as server:
        status, text, _ = await ask(server, "p/proxy", "a=b", method)
        assert (status, text) == (200, f"{method} /?a=b b ")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_page_without_its_slash_is_sent_there(method: str) -> None:
    async with cluster() as server:
        status, _, headers = await ask(server, "p/proxy", "a=b", method)
        assert status == 301
        assert headers["Location"] == "/api/v1/namespaces/default/pods/p/proxy/?a=b"


@pytest.mark.parametrize("path", ["large", "bomb", "broken"])
async def test_a_page_that_is_too_large_or_no_page_is_passed_on_as_it_is(path: str) -> None:
    async with cluster() as server:
        request = Request("GET", f"/api/v1/namespaces/default/pods/p/proxy/{path}", user=ADMIN)
        answer = await chain.handle(server, request)
        assert isinstance(answer, StreamReply)
        body = b"".join([chunk async for chunk in answer.chunks])
        if path == "broken":
            assert body == b"no gzip"
        else:
            assert (gzip.decompress(body) if path == "bomb" else body) == LARGE
        assert int(answer.headers["Content-Length"]) == len(body)
        assert ("Content-Encoding" in answer.headers) is (path != "large")


async def test_an_answer_that_is_cut_off_is_not_passed_for_a_whole_one() -> None:
    async with cluster() as server:
        with pytest.raises(Aborted):
            await ask(server, "p/proxy/cut")


async def test_what_cannot_be_reached_says_so() -> None:
    async with cluster() as server:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            for path, kind in ((f"p:{port}", "pods"), (f"https:p:{port}", "pods")):
                status, text, _ = await ask(server, f"{path}/proxy/", kind=kind)
                detail = f"dial tcp 127.0.0.1:{port}: connect: connection refused"
                assert status == 503
                assert f'"error trying to reach service: {detail}"' in text
        assert (await ask(server, "p:nope/proxy/"))[0] == 400
        assert (await ask(server, "gone/proxy/"))[0] == 404


@pytest.mark.parametrize(
    ("kind", "name", "code", "message"),
    [
        ("pods", "https:p:http", 503, "error trying to reach service: tls: first record does not "
         "look like a TLS handshake"),
        ("pods", "p:99999", 503, "error trying to reach service: dial tcp: address 99999: invalid "
         "port"),
        ("pods", "ftp:p:80", 400, 'invalid pod request "ftp:p:80"'),
        ("pods", ":", 400, 'invalid pod request ":"'),
        ("services", "a:b:c:d", 400, 'invalid service request "a:b:c:d"'),
        ("services", "gone", 404, 'services "gone" not found'),
        ("services", "gone:80", 404, 'services "gone" not found'),
        ("services", "one:81", 503, 'no service port 81 found for service "one"'),
        ("services", "one:http", 503, 'no endpoints available for service "one:http"'),
        ("services", "two", 503, 'no endpoints available for service "two"'),
        ("services", "two:c", 503, 'no endpoints available for service "two:c"'),
    ],
)  # fmt: skip
async def test_what_a_name_is_answered(kind: str, name: str, code: int, message: str) -> None:
    async with cluster() as server:
        status, text, _ = await ask(server, f"{name}/proxy/x", kind=kind)
        found = msgspec.json.decode(text)
        assert (status, found["message"]) == (code, message)


@pytest.mark.parametrize(
    "name", ["one", "one:80", "one:", "http:one:80", "two:80", "two:81", "two:a", "http:two:b"]
)
async def test_requests_go_to_a_pod_of_a_service(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster() as server:
        dialled: list[str] = []

        async def fetch(method: str, url: str, *_rest: Any) -> None:
            dialled.append(url)
            raise bad_request("seen")

        monkeypatch.setattr(server.context.kubelets, "fetch", fetch)
        assert (await ask(server, f"{name}/proxy/a", kind="services"))[0] == 400
        [url] = dialled
        assert url.startswith("http://10.0.0.1:") and url.endswith("/a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ("http", "a", "")),
        ("a:80", ("http", "a", "80")),
        ("https:a:web", ("https", "a", "web")),
        (":a:80", ("http", "a", "80")),
    ],
)
def test_names_with_ports(text: str, expected: tuple[str, str, str]) -> None:
    assert proxy.parse(text, "pod") == expected


def test_a_bad_name() -> None:
    with pytest.raises(ApiError, match="invalid pod request"):
        proxy.parse("ftp:a:80", "pod")

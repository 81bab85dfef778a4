"""HTTP through the API server to pods and Services: a real server on loopback is the pod."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from trireme.api.core.v1.pod.container import Container, ContainerPort
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.status import PodIP
from trireme.apiserver import chain
from trireme.apiserver.reply.reply import Reply, StreamReply
from trireme.apiserver.request import Request, User
from trireme.apiserver.server import ApiServer
from trireme.apiserver.subresources import proxy
from trireme.machinery.errors import ApiError
from trireme.machinery.meta import ObjectMeta
from trireme.testing import clients, control_plane

ADMIN = User("admin", groups=("system:masters", "system:authenticated"))


@asynccontextmanager
async def pod_server() -> AsyncIterator[int]:
    """Answers with what it was asked; /away redirects to /there."""

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path == "/away":
            return web.Response(status=302, headers={"Location": "/there?x=1"})
        if request.path == "/page":
            page = web.Response(text='<a href="/x">x</a>', content_type="text/html")
            if "gzip" in request.query_string:
                page.enable_compression(web.ContentCoding.gzip)
            return page
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
    """An API server with a pod whose port ``http`` is the server's."""
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
        made = await client.create(pod)
        made.status.podIP = "127.0.0.1"
        made.status.podIPs = [PodIP(ip="127.0.0.1")]
        await client.update_status(made)
        yield server


async def ask(
    server: ApiServer, path: str, query: str = "", method: str = "GET", body: bytes = b""
) -> tuple[int, str, dict[str, str]]:
    base = "/api/v1/namespaces/default/pods/"
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
        status, text, headers = await ask(server, f"{name}/proxy/a/b%20c/", "q=1&q=2")
        assert (status, text) == (200, "GET /a/b%20c/?q=1&q=2 b ")
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


async def test_what_cannot_be_reached_says_so() -> None:
    async with cluster() as server:
        assert (await ask(server, "p:1/proxy/"))[0] == 503
        assert (await ask(server, "p:nope/proxy/"))[0] == 400
        assert (await ask(server, "gone/proxy/"))[0] == 404


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a", ("http", "a", "")),
        ("a:80", ("http", "a", "80")),
        ("https:a:web", ("https", "a", "web")),
        (":a:80", ("http", "a", "80")),
    ],
)
def test_names_with_ports(text: str, wanted: tuple[str, str, str]) -> None:
    assert proxy.parse(text) == wanted


def test_a_bad_name() -> None:
    with pytest.raises(ApiError, match="invalid proxy request"):
        proxy.parse("ftp:a:80")

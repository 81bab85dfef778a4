"""Every endpoint of the kubelet takes upstream's methods, and asks for upstream's rights.

In particular nothing runs in a container for a GET or a HEAD of /run. The codes and texts are what
upstream's kubelet v1.36.2 answers to the same requests; the rights are those of
pkg/kubelet/server/auth.go with KubeletFineGrainedAuthz: any one of the subresources suffices, and
a method without a verb needs the right to everything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.kubelet.served import ServedNode, ask, context, served
from trireme.kubelet.server import routes

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
ANY = "any"
POD = "default/web"
# Path, methods, subresources of nodes, and the code where a method is taken.
TABLE = [
    ("/healthz", ANY, "healthz proxy", 200),
    ("/healthz/ping", ANY, "healthz proxy", 200),
    ("/healthz/log", ANY, "healthz proxy", 200),
    ("/healthz/syncloop", ANY, "healthz proxy", 200),
    ("/healthz/nope", ANY, "healthz proxy", 404),
    ("/configz", ANY, "configz proxy", 200),
    ("/configz/x", ANY, "configz proxy", 404),
    ("/metrics", ANY, "metrics", 200),
    ("/metrics/cadvisor", ANY, "metrics", 200),
    ("/metrics/probes", ANY, "metrics", 200),
    ("/metrics/resource", ANY, "metrics", 200),
    ("/metrics/slis", ANY, "metrics", 200),
    ("/metrics/nope", ANY, "metrics", 404),
    ("/pods", "GET", "pods proxy", 200),
    ("/pods/", "GET", "pods proxy", 200),
    ("/%70ods", "GET", "pods proxy", 200),
    ("/pods/x", ANY, "pods proxy", 404),
    ("/runningpods/", "GET", "pods proxy", 200),
    ("/runningpods/x", ANY, "pods proxy", 404),
    ("/stats/summary", "GET, POST", "stats", 200),
    ("/stats/nope", ANY, "stats", 404),
    (f"/containerLogs/{POD}/main", "GET", "proxy", 200),
    (f"/containerLogs/{POD}/nope", "GET", "proxy", 404),
    (f"/containerLogs/{POD}", ANY, "proxy", 404),
    (f"/exec/{POD}/main?command=ls&output=1", "GET, POST", "proxy", 500),
    (f"/exec/{POD}/main?command=ls", "GET, POST", "proxy", 400),
    (f"/exec/{POD}/uid/main?command=ls&output=1", "GET, POST", "proxy", 500),
    (f"/exec/{POD}", ANY, "proxy", 404),
    ("/exec/default/nope/main?command=ls&output=1", "GET, POST", "proxy", 404),
    (f"/attach/{POD}/main", "GET, POST", "proxy", 400),
    (f"/attach/{POD}", ANY, "proxy", 404),
    (f"/run/{POD}/main?cmd=ls", "POST", "proxy", 200),
    (f"/run/{POD}/uid/main?cmd=ls", "POST", "proxy", 200),
    (f"/run/{POD}/nope?cmd=ls", "POST", "proxy", 500),
    ("/run/default/nope/main?cmd=ls", "POST", "proxy", 404),
    (f"/run/{POD}", ANY, "proxy", 404),
    (f"/portForward/{POD}/uid", "GET, POST", "proxy", 404),
    ("/portForward/default/nope", "GET, POST", "proxy", 404),
    ("/portForward/default", ANY, "proxy", 404),
    ("/", ANY, "proxy", 404),
    ("/nope", ANY, "proxy", 404),
    ("/podsx", ANY, "proxy", 404),
    # Not served here; who asks needs the right all the same.
    ("/logs/", ANY, "log", 404),
    (f"/checkpoint/{POD}/main", ANY, "checkpoint", 404),
    ("/statusz", ANY, "statusz", 404),
    ("/flagz", ANY, "configz", 404),
    ("/debug/pprof/cmdline", ANY, "proxy", 404),
    ("/debug/flags/v", ANY, "proxy", 404),
]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[ServedNode]:
    async with served(tmp_path) as made:
        yield made


def url(node: ServedNode, path: str) -> str:
    assert node.config.server is not None
    return f"https://127.0.0.1:{node.config.server.port}{path}"


def test_every_endpoint_is_in_the_table() -> None:
    for endpoint in routes.ENDPOINTS:
        assert any(
            methods == (", ".join(endpoint.methods) or ANY)
            and path.strip("/").split("/")[0] == endpoint.path.split("/")[0]
            for path, methods, _, _ in TABLE
        ), endpoint


async def test_methods(node: ServedNode, tmp_path: Path) -> None:
    tls = context(tmp_path, "boss", "system:masters")
    async with aiohttp.ClientSession() as session:
        for path, methods, _, code in TABLE:
            for method in METHODS:
                async with session.request(method, url(node, path), ssl=tls) as answer:
                    text = await answer.text()
                    if methods == ANY or method in methods.split(", "):
                        assert answer.status == code, (method, path, text)
                        assert code < 500 or "Upgrade" in text or "not found" in text
                    else:
                        assert answer.status == 405, (method, path)
                        assert answer.headers["Allow"] == methods
                        assert text == ("" if method == "HEAD" else "405: Method Not Allowed")
    ran = {command for _, _, command in node.cri.execs}
    assert ran == {("ls",)}
    assert len(node.cri.execs) == 2, "only the two POSTs of /run"


async def test_rights(node: ServedNode, tmp_path: Path) -> None:
    tls = context(tmp_path, "eve")
    async with aiohttp.ClientSession() as session:
        for path, _, subresources, _ in TABLE:
            for method in METHODS:
                async with session.request(method, url(node, path), ssl=tls) as answer:
                    assert answer.status == 403, (method, path)
                    if method != "HEAD":
                        assert await answer.text() == (
                            f"Forbidden (user=eve, verb={VERBS.get(method, '')}, resource=nodes, "
                            f"subresource(s)=[{subresources}])\n"
                        )
    assert node.cri.execs == []


async def test_nothing_is_answered_while_the_api_cannot_say(
    node: ServedNode, tmp_path: Path
) -> None:
    tls = context(tmp_path, "boss", "system:masters")
    node.api.node_wire.broken = True
    assert await ask(node, "/pods", tls) == (
        500,
        "Authorization error (user=boss, verb=get, resource=nodes, subresource=pods)",
    )
    node.api.node_wire.broken = False

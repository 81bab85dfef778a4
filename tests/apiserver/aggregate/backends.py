"""Aggregated API servers for tests: answers without a wire, and what leads the API server there."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
from multidict import CIMultiDict

GROUP, NAME = "metrics.example.com", "v1.metrics.example.com"
ALL = "/apis/apiregistration.k8s.io/v1/apiservices"
MERGE = {"content-type": "application/merge-patch+json"}
SPEC = {
    "groupPriorityMinimum": 100,
    "versionPriority": 10,
    "insecureSkipTLSVerify": True,
    "service": {"namespace": "default", "name": "metrics"},
}


@dataclass
class Asked:
    """One request that a backend got."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes
    tls: ssl.SSLContext | bool
    server_name: str | None


class Answer:
    """The part of an aiohttp response that is looked at."""

    def __init__(
        self, status: int = 200, body: Any = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers = CIMultiDict({"Content-Type": "application/json"} | dict(headers or {}))
        self._body = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self.content = self

    async def read(self, limit: int) -> bytes:
        taken, self._body = self._body[:limit], self._body[limit:]
        return taken

    async def iter_any(self) -> Any:
        yield self._body

    def release(self) -> None: ...

    def close(self) -> None: ...


@dataclass
class Backend:
    """Answers by path; a path that is not there is 404, and ``down`` nobody answers."""

    answers: dict[str, Callable[[Asked], Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    down: bool = False

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        tls: ssl.SSLContext | bool = True,
        server_name: str | None = None,
    ) -> Any:
        if self.down:
            raise ConnectionRefusedError(111, "Connection refused")
        path = "/" + url.split("/", 3)[3]
        asked = Asked(method, path, CIMultiDict(headers), body, tls, server_name)
        self.asked.append(asked)
        answer = self.answers.get(path.partition("?")[0])
        return Answer(404) if answer is None else answer(asked)

    async def connect(self, *_: Any) -> Any:
        raise aiohttp.ClientError

    async def close(self) -> None: ...

    def of(self, path: str) -> list[Asked]:
        """The requests for one path."""
        return [each for each in self.asked if each.path.partition("?")[0] == path]


def service(**port: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "metrics"},
        "spec": {"ports": [port or {"name": "y", "port": 443}]},
    }


def external(name: str = "metrics") -> dict[str, Any]:
    """A Service that leads out of the cluster: to this host."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }


def slices(ready: bool | None = None, port: str = "y", name: str = "metrics") -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.99.0.1"], "conditions": {"ready": ready}}],
        "ports": [{"name": port, "port": 443}],
    }


SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
RESOURCES = [
    {
        "resource": "nodes",
        "responseKind": {"group": "", "version": "", "kind": "NodeMetrics"},
        "scope": "Cluster",
        "singularResource": "",
        "verbs": ["get", "list"],
    }
]
AGGREGATED = {
    "kind": "APIGroupDiscoveryList",
    "apiVersion": "apidiscovery.k8s.io/v2",
    "items": [
        {"metadata": {"name": GROUP}, "versions": [{"version": "v1", "resources": RESOURCES}]}
    ],
}
AS_AGGREGATED = {
    "Content-Type": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
}
LEGACY = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": f"{GROUP}/v1",
    "resources": [
        {"name": "nodes", "kind": "NodeMetrics", "namespaced": False, "verbs": ["get", "list"]},
        {"name": "nodes/proxy", "kind": "NodeProxy", "namespaced": False, "verbs": ["get"]},
    ],
}


def healthy() -> Backend:
    """A backend with aggregated discovery and no OpenAPI."""
    return Backend(
        {
            "/apis": lambda _: Answer(200, AGGREGATED, AS_AGGREGATED),
            f"/apis/{GROUP}/v1": lambda _: Answer(200, LEGACY),
        }
    )

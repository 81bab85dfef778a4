"""The endpoints, their paths and methods. Pure.

In: a method and a path. Out: the endpoint's name and the path's parameters, or ``NoRoute``. Called
by server/app. Rules: reference "HTTP server"; the methods, codes and texts are those of upstream's
kubelet, where plain handlers (health, metrics, configz) accept any method.
"""

from __future__ import annotations

import msgspec

_READ = ("GET",)
_STREAM = ("GET", "POST")
_POD = "{namespace}/{pod}"


class NoRoute(Exception):
    """Status 404 or 405 and the text; ``allow`` lists the allowed methods."""

    def __init__(self, status: int, text: str, allow: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.allow = allow


class Endpoint(msgspec.Struct, frozen=True):
    """``path``: a name in braces stands for any segment. ``methods``: empty for all."""

    name: str
    path: str
    methods: tuple[str, ...] = ()


ENDPOINTS = (
    Endpoint("healthz", "healthz"),
    Endpoint("healthz", "healthz/ping"),
    Endpoint("healthz", "healthz/log"),
    Endpoint("healthz", "healthz/syncloop"),
    Endpoint("configz", "configz"),
    Endpoint("metrics", "metrics"),
    Endpoint("no metrics", "metrics/cadvisor"),
    Endpoint("no metrics", "metrics/probes"),
    Endpoint("no metrics", "metrics/slis"),
    Endpoint("resource metrics", "metrics/resource"),
    Endpoint("pods", "pods", _READ),
    Endpoint("running pods", "runningpods", _READ),
    Endpoint("stats", "stats/summary", _STREAM),
    Endpoint("logs", f"containerLogs/{_POD}/{{container}}", _READ),
    Endpoint("exec", f"exec/{_POD}/{{container}}", _STREAM),
    Endpoint("exec", f"exec/{_POD}/{{uid}}/{{container}}", _STREAM),
    Endpoint("attach", f"attach/{_POD}/{{container}}", _STREAM),
    Endpoint("attach", f"attach/{_POD}/{{uid}}/{{container}}", _STREAM),
    Endpoint("run", f"run/{_POD}/{{container}}", ("POST",)),
    Endpoint("run", f"run/{_POD}/{{uid}}/{{container}}", ("POST",)),
    Endpoint("port forward", f"portForward/{_POD}", _STREAM),
    Endpoint("port forward", f"portForward/{_POD}/{{uid}}", _STREAM),
)
# Paths below which upstream's router of web services answers, not the plain mux.
_SERVICES = {e.path.partition("/")[0] for e in ENDPOINTS if e.methods}


def find(method: str, path: str) -> tuple[str, dict[str, str]]:
    """Raises ``NoRoute``."""
    segments = split(path)
    for endpoint in ENDPOINTS:
        parameters = _match(endpoint.path.split("/"), segments)
        if parameters is None:
            continue
        if endpoint.methods and method not in endpoint.methods:
            raise NoRoute(405, "405: Method Not Allowed", ", ".join(endpoint.methods))
        return endpoint.name, parameters
    if segments and segments[0] in _SERVICES:
        raise NoRoute(404, "404: Page Not Found")
    raise NoRoute(404, "404 page not found\n")


def split(path: str) -> list[str]:
    """A path's segments, for routing and for authorization alike."""
    return [segment for segment in path.split("/") if segment]


def _match(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    parameters = {}
    for part, segment in zip(pattern, segments, strict=True):
        if part.startswith("{"):
            parameters[part[1:-1]] = segment
        elif part != segment:
            return None
    return parameters

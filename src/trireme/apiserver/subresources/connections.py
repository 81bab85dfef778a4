"""Admission of a connection: operation CONNECT, whose object is the options in the query.

Upstream: apiserver ``endpoints/handlers`` ConnectResource.
"""

from __future__ import annotations

from typing import Any

from trireme.api.core.v1.connect_options import (
    PodAttachOptions,
    PodExecOptions,
    PodPortForwardOptions,
    ProxyOptions,
)
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.registry import Call
from trireme.apiserver.request import ANONYMOUS, Request
from trireme.machinery import errors


async def admit(context: ServerContext, request: Request, endpoint: Endpoint) -> None:
    """Ask admission whether the connection may be made; raises what it refuses with."""
    if any(request.query.get("dryRun", ())):
        raise errors.bad_request("dryRun is not supported")
    info = request.info
    call = Call(
        request.user or ANONYMOUS,
        warnings=request.warnings,
        request=request,
        annotations=request.annotations,
    )
    options = _options(request, endpoint)
    await context.registry.admit(
        "CONNECT", endpoint, info.subresource, info.namespace, info.name, options, call
    )


def _options(request: Request, endpoint: Endpoint) -> Any:
    match request.info.subresource:
        case "portforward":
            texts = [item for value in request.query.get("ports", []) for item in value.split(",")]
            return PodPortForwardOptions(ports=[int(text) for text in texts if _is_port(text)])
        case "proxy":
            path = f"/{request.info.rest}" if request.info.rest else ""
            if request.info.path.endswith("/") and not path.endswith("/"):
                path += "/"
            return ProxyOptions(kind=f"{endpoint.resource.kind}ProxyOptions", path=path)
        case "attach":
            attached = PodAttachOptions()
            _fill(attached, request)
            return attached
    run = PodExecOptions(command=request.query.get("command", []))
    _fill(run, request)
    return run


def _fill(options: PodExecOptions | PodAttachOptions, request: Request) -> None:
    for name in ("stdin", "stdout", "stderr", "tty"):
        setattr(options, name, request.flag(name))
    options.container = request.param("container")


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6

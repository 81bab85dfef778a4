"""``pods/<name>/log``: the kubelet's stream of a container's log, passed on as it comes.

Upstream: pkg/registry/core/pod/rest LogREST; options are PodLogOptions.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from urllib.parse import urlencode

from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import SubresourceHandler
from trireme.apiserver.nodes import sockets
from trireme.apiserver.reply.reply import AnyReply, Chunks, Closing, StreamReply, UpgradeReply
from trireme.apiserver.request import Request
from trireme.apiserver.subresources import pods
from trireme.apiserver.verbs import options
from trireme.machinery import errors, field, gotext
from trireme.machinery.field import FieldError

SOCKET_PROTOCOLS = ("", "binary.k8s.io", "base64.binary.k8s.io")
_PASSED_ON = (
    "follow",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "tailLines",
    "limitBytes",
    "stream",
)


async def get(context: ServerContext, request: Request, _endpoint: Endpoint) -> AnyReply:
    """Check the options and open the stream."""
    problems = check_options(request)
    if problems:
        raise errors.invalid("PodLogOptions", request.info.name, problems)
    protocol = (
        sockets.accepted_protocol(request, SOCKET_PROTOCOLS) if sockets.is_asked(request) else None
    )
    pod = pods.pod_of(context, request)
    container = pods.container_of(pod, request.param("container"))
    if not pod.spec.nodeName:
        # Not scheduled yet: nothing has been logged, which is no error.
        return _reply(_nothing(), protocol)
    query = {name: request.param(name) for name in _PASSED_ON if request.param(name)}
    meta = pod.metadata
    path = f"/containerLogs/{meta.namespace}/{meta.name}/{container}"
    answer = await context.kubelets.request(pods.node_of(pod), "GET", path, urlencode(query))
    if answer.status != 200:
        text = await answer.explanation()
        if answer.status == 404:
            raise errors.ApiError(404, errors.NOT_FOUND, text)
        if answer.status == 400:
            raise errors.bad_request(text)
        raise errors.internal_error(text)
    return _reply(answer.chunks, protocol)


def _reply(chunks: Chunks[bytes], protocol: str | None) -> AnyReply:
    """The log as a body or, as the dashboard and old clients ask for it, in messages."""
    if protocol is None:
        return StreamReply(chunks, content_type="text/plain")
    messages = Closing(_messages(chunks, protocol), chunks.aclose)
    return UpgradeReply(lambda incoming: sockets.push(incoming, protocol, messages))


def check_options(request: Request) -> list[FieldError]:
    """Errors of PodLogOptions."""
    problems: list[FieldError] = []
    for name, least in (("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)):
        text = request.param(name)
        if not text:
            continue
        if not options.is_integer(text):
            raise errors.bad_request(
                f"strconv.ParseInt: parsing {gotext.quote(text)}: invalid syntax"
            )
        if int(text) < least:
            detail = "must be greater than 0" if least else "must be greater than or equal to 0"
            problems.append(field.invalid(field.path(name), int(text), detail))
    if request.param("sinceSeconds") and request.param("sinceTime"):
        problems.append(
            field.forbidden(
                field.path("[]"), "at most one of `sinceTime` or `sinceSeconds` may be specified"
            )
        )
    stream = request.param("stream")
    if stream not in ("", "All", "Stdout", "Stderr"):
        problems.append(
            field.not_supported(field.path("stream"), stream, ["All", "Stderr", "Stdout"])
        )
    elif stream in ("Stdout", "Stderr") and request.param("tailLines"):
        problems.append(
            field.forbidden(
                field.path("[]"), "`tailLines` and specific `stream` are mutually exclusive for now"
            )
        )
    return problems


async def _messages(chunks: Chunks[bytes], protocol: str) -> AsyncGenerator[bytes | str]:
    """The log as messages; the first is empty, and says that the connection is there."""
    is_text = protocol.startswith("base64")
    yield "" if is_text else b""
    async for chunk in chunks:
        yield base64.b64encode(chunk).decode() if is_text else chunk


async def _nothing() -> AsyncGenerator[bytes]:
    return
    yield b""


HANDLER = SubresourceHandler("pods", "log", {"get": get})

"""The filters that every request passes, outermost first: the order is the behaviour.

deadline → authenticate → impersonate → fairness → authorize → the body → dispatch, in a process of
its own where it takes long. Only ``handle``, around all, turns exceptions into replies; it also
sees a bug (500) and logs it once. The body is not read for whoever may not send it. Upstream:
apiserver ``server/config.go``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from trireme.apiserver import dispatch
from trireme.apiserver.context import ServerContext
from trireme.apiserver.filters import authorize, impersonate, warnings
from trireme.apiserver.forked import parent
from trireme.apiserver.handlers import Handlers
from trireme.apiserver.reply import form, reply
from trireme.apiserver.reply.reply import AnyReply, Reply, UpgradeReply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.machinery import errors
from trireme.store import contract as stores

# Answers a request: ``handle``, or what a test has put around it.
Answers = Callable[[ApiServer, Request], Awaitable[AnyReply]]


async def handle(server: ApiServer, request: Request) -> AnyReply:
    """Answer one request; never raises anything but cancellation."""
    context = server.context
    request.media = context.served.media
    is_whole = False
    began = context.metrics.now()
    try:
        server.deadlines.begin(request)
        if request.user is None:
            request.user = await context.authenticator.authenticate(request)
        if context.audit is not None:
            waiting = context.audit.received(request)
            if waiting is not None:
                await waiting
        waiting = impersonate.apply(
            context.authorizer, context.gates, context.access, context.metrics.now, request
        )
        if waiting is not None:
            await waiting
        if request.audit is not None:
            request.audit.impersonate(request.user)
        rejected = server.limits.enter(request)
        if rejected is not None and not isinstance(rejected, Reply):
            rejected = await rejected
        if rejected is None:
            waiting = authorize.check(
                context.authorizer, context.access, context.metrics.now, request
            )
            if waiting is not None:
                await waiting
            if request.receive is not None and _takes_body(request):
                await request.receive_body()
            if server.forks is not None and parent.is_long(context, request):
                answers = partial(answered, server.handlers)
                answer, is_whole = await server.forks.answer(context, request, answers), True
            else:
                answer = await dispatch.dispatch(context, server.handlers, request)
        else:
            answer, is_whole = rejected, True
    except asyncio.CancelledError:
        over = server.deadlines.expired(request)
        if over is None:
            raise
        answer = _failed(context, request, over)
    except Exception as error:
        answer = _failed(context, request, error)
    finally:
        server.deadlines.end(request)
    if context.audit is not None:
        waiting = context.audit.answered(request, answer)
        if waiting is not None:
            await waiting
    context.metrics.answered(request, answer, began)
    return answer if is_whole else complete(request, answer)


async def answered(handlers: Handlers, context: ServerContext, request: Request) -> AnyReply:
    """Answer a request that may be answered, whose body is there: in a process of its own."""
    try:
        answer = await dispatch.dispatch(context, handlers, request)
    except Exception as error:
        answer = _failed(context, request, error)
    return complete(request, answer)


def _failed(context: ServerContext, request: Request, error: Exception) -> Reply:
    """The Status for an error."""
    if isinstance(error, errors.ApiError):
        return reply.error(error)
    if isinstance(error, stores.Refused):
        # etcd's own errors are passed on, without a reason, as upstream does.
        return reply.error(errors.ApiError(500, "", str(error)))
    if isinstance(error, stores.StoreUnavailable):
        return reply.error(errors.service_unavailable(f"the store is not available: {error}"))
    if isinstance(error, stores.Unreadable):
        return reply.error(errors.internal_error(error))
    context.env.log.exception("%s %s failed", request.method, request.path)
    if request.audit is not None:
        request.audit.panicked = str(error) or type(error).__name__
    return reply.error(errors.internal_error(error))


def complete(request: Request, answer: AnyReply) -> AnyReply:
    """The answer in the form that is accepted, with what the client is warned of."""
    if isinstance(answer, Reply) and answer.negotiable:
        answer = _transformed(request, answer)
    if request.warnings and not isinstance(answer, UpgradeReply):
        warnings.attach(request.warnings, answer)
    return answer


def _takes_body(request: Request) -> bool:
    """Whether anybody looks at the body: of what only reads, a proxy alone passes it on."""
    info = request.info
    reads = request.method in ("GET", "HEAD") and info.subresource != "proxy"
    return info.is_resource and not reads


def _transformed(request: Request, answer: Reply) -> Reply:
    """A Status, or another object that is no stored one, in the form that the client accepts."""
    try:
        form.transform(request, answer)
    except errors.ApiError as error:
        answer = reply.error(error)
        form.transform(request, answer)
    return answer

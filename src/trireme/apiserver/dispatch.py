"""From what a request asks for to the code that answers it: verbs, subresources, routes."""

from __future__ import annotations

from trireme.apiserver.aggregate import proxy
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import Answer, Handlers
from trireme.apiserver.nodes import sockets
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import AnyReply, Reply, StreamReply
from trireme.apiserver.request import Request, RequestInfo
from trireme.apiserver.verbs import delete, read, socket, watch, write
from trireme.machinery import errors
from trireme.machinery.resource import Subresource

_VERBS: dict[str, Answer] = {
    "get": read.get,
    "list": read.list_,
    "watch": watch.watch,
    "create": write.create,
    "update": write.update,
    "patch": write.patch,
    "delete": delete.delete,
    "deletecollection": delete.delete_collection,
}
# Methods that are of one object (True) or of a collection only.
_OF_ONE = {"POST": False, "PUT": True, "PATCH": True}
# The generic path of a subresource that writes a part is that of the object itself.
_STATUS_VERBS: dict[str, Answer] = {"get": read.get, "update": write.update, "patch": write.patch}


async def dispatch(context: ServerContext, handlers: Handlers, request: Request) -> AnyReply:
    """Find and run the handler; 404 and 405 where there is none."""
    info = request.info
    remote = context.routes.find(info)
    if remote is not None:
        return await proxy.answer(context, request, remote)
    if not info.is_resource:
        return await _route(context, handlers, request)
    endpoint = context.served.endpoints.get((info.group, info.version, info.resource))
    if endpoint is None:
        endpoint = context.served.custom.endpoint(info.group, info.version, info.resource)
        if endpoint is None and context.store.shared:
            # Another server may have established it just now.
            await context.store.barrier()
            endpoint = context.served.custom.endpoint(info.group, info.version, info.resource)
        if endpoint is None and info.group in context.served.groups:
            raise errors.no_such_resource()
        if endpoint is None or not _is_in_scope(endpoint, info):
            return reply.no_page()
        request.warnings += endpoint.warnings
    resource = endpoint.resource
    if resource.deprecated:
        request.warnings.append(resource.deprecation_warning)
        context.metrics.deprecated(info, resource.removed_release)
    if resource.namespaced and not info.namespace and info.verb not in ("list", "watch"):
        if info.name or info.verb != "create":
            raise errors.no_such_resource()
        return await _create_anywhere(context, handlers, request, endpoint)
    if not resource.namespaced and info.namespace and info.resource != "namespaces":
        raise errors.no_such_resource()
    if info.subresource:
        declared = resource.subresource(info.subresource)
        if declared is None:
            if info.group in context.served.groups:
                raise errors.no_such_resource()
            raise errors.not_found(resource.group_resource, info.name)
        return await _subresource(context, handlers, request, endpoint, declared)
    if request.method == "HEAD":
        raise errors.method_not_allowed()
    misplaced = request.method in _OF_ONE and bool(info.name) is not _OF_ONE[request.method]
    if info.verb not in resource.verbs or misplaced:
        raise errors.method_not_allowed()
    virtual = handlers.kinds.get(resource.type)
    if virtual is not None:
        handler = virtual.answer(info.verb)
        if handler is None:
            raise errors.method_not_allowed()
        return await handler(context, request, endpoint)
    answer = await _VERBS[info.verb](context, request, endpoint)
    if info.verb == "watch" and isinstance(answer, StreamReply) and sockets.is_asked(request):
        return await socket.upgraded(request, answer)
    return answer


def _is_in_scope(endpoint: Endpoint, info: RequestInfo) -> bool:
    if endpoint.resource.namespaced:
        return bool(info.namespace) or info.verb in ("list", "watch")
    return not info.namespace


async def _create_anywhere(
    context: ServerContext, handlers: Handlers, request: Request, endpoint: Endpoint
) -> AnyReply:
    """POST of a namespaced kind without a namespace in the path: only the kinds that need none."""
    virtual = handlers.kinds.get(endpoint.resource.type)
    if virtual is not None and virtual.create is not None:
        return await virtual.create(context, request, endpoint)
    raise errors.method_not_allowed()


async def _subresource(
    context: ServerContext,
    handlers: Handlers,
    request: Request,
    endpoint: Endpoint,
    declared: Subresource,
) -> AnyReply:
    resource, verb = endpoint.resource, request.info.verb
    handler = handlers.subresources.get((resource.group_resource, declared.name))
    if handler is None and declared.name == "scale":
        handler = handlers.subresources["*", "scale"]
    if handler is not None:
        verbs = handler.verbs
    elif declared.name == "status" or declared.prepare is not None:
        verbs = {name: _STATUS_VERBS[name] for name in declared.verbs}
    else:
        raise errors.method_not_allowed()
    answer = verbs.get(verb)
    if answer is None:
        raise errors.method_not_allowed()
    return await answer(context, request, endpoint)


async def _route(context: ServerContext, handlers: Handlers, request: Request) -> AnyReply:
    path = request.path if request.path == "/" else request.path.rstrip("/")
    route = handlers.exact.get(path) or handlers.exact.get(request.path)
    if route is None:
        below = (r for r in handlers.prefixes if path == r.path or path.startswith(r.path + "/"))
        route = next(below, None)
    if route is None:
        return reply.no_page()
    if request.method not in route.methods:
        return Reply(405, b"405 method not allowed\n", "text/plain; charset=utf-8")
    return await route.answer(context, request)

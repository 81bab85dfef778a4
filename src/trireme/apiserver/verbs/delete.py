"""DELETE of an object and of a collection."""

from __future__ import annotations

from trireme.apiserver import deletion
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.reply import form, reply
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.apiserver.verbs import body, options, read, write
from trireme.machinery import errors
from trireme.machinery.meta import DeleteOptions, ListMeta, Preconditions
from trireme.machinery.schema import decode
from trireme.machinery.status import Status, StatusDetails
from trireme.store.contract import KeyValue

_OPTIONS = ("meta.k8s.io/v1", "DeleteOptions")


async def delete(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """One object: the object while it stays (or where the kind returns it), else a Status."""
    info = request.info
    opts, call = delete_options(request), write.call_of(request)
    call.dry_run = call.dry_run or bool(opts.dryRun)
    hub = endpoint.hub
    _warn_of_orphans(request, endpoint, opts)
    item, gone = await context.registry.delete(endpoint, info.namespace, info.name, opts, call)
    resource = hub.resource
    if not gone or resource.returns_deleted:
        status = 202 if not gone and opts.orphanDependents is False else 200
        if endpoint.converts:
            (item,) = await endpoint.from_stored([item])
        return form.one(request, endpoint, item, context.env.clock.now(), status)
    details = StatusDetails(
        name=info.name,
        group=resource.group,
        kind=resource.plural,
        uid=hub.load(item).metadata.uid,
    )
    return reply.described(Status(status="Success", details=details))


async def delete_collection(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """All objects that the selectors match; answers with the list of them."""
    options.refuse_shards(request, context.gates)
    info = request.info
    opts, call = delete_options(request), write.call_of(request)
    _warn_of_orphans(request, endpoint, opts)
    call.dry_run = call.dry_run or bool(opts.dryRun)
    call.in_collection = True
    selected, meta = await read.select(
        context, endpoint, info.namespace, options.list_options(request, endpoint)
    )
    deleted: list[KeyValue] = []
    hub = endpoint.hub
    for item in selected:
        target = hub.load(item).metadata
        try:
            last, _ = await context.registry.delete(
                endpoint, target.namespace, target.name, opts, call
            )
            deleted.append(last)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
    if endpoint.converts:
        deleted = await endpoint.from_stored(deleted)
    listed = ListMeta(
        resourceVersion=meta.resourceVersion,
        continue_=meta.continue_,
        remainingItemCount=meta.remainingItemCount,
    )
    now, turn = context.env.clock.now(), context.turns.begin()
    return await form.many(request, endpoint, deleted, listed, now, turn)


def _warn_of_orphans(request: Request, endpoint: Endpoint, opts: DeleteOptions) -> None:
    text = endpoint.resource.orphan_warning
    if text and opts.propagationPolicy is None and opts.orphanDependents is None:
        request.warnings.append(text)


def delete_options(request: Request) -> DeleteOptions:
    """From the body, or from the query where there is no body; checked."""
    if request.body.strip():
        opts = body.read_as(request, DeleteOptions, decode.IGNORE, _OPTIONS)
    else:
        opts = _from_query(request)
    problems = deletion.validate_options(opts)
    if problems:
        raise errors.invalid("DeleteOptions.meta.k8s.io", "", problems)
    return opts


def _from_query(request: Request) -> DeleteOptions:
    opts = DeleteOptions()
    grace = request.param("gracePeriodSeconds")
    if grace:
        if not options.is_integer(grace):
            raise errors.bad_request(f'strconv.ParseInt: parsing "{grace}": invalid syntax')
        opts.gracePeriodSeconds = int(grace)
    if request.param("propagationPolicy"):
        opts.propagationPolicy = request.param("propagationPolicy")
    if "orphanDependents" in request.query:
        opts.orphanDependents = request.flag("orphanDependents")
    uid, version = (
        request.param("preconditions.uid"),
        request.param("preconditions.resourceVersion"),
    )
    if uid or version:
        opts.preconditions = Preconditions(uid=uid or None, resourceVersion=version or None)
    return opts

"""GET of an object and of a list.

Semantics of resourceVersion and resourceVersionMatch:
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.apiserver.cache import views
from trireme.apiserver.cache.views import Selection
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.reply import form
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.apiserver.verbs import options
from trireme.apiserver.verbs.options import ListOptions
from trireme.machinery import errors
from trireme.machinery.meta import ListMeta
from trireme.store import contract as stores
from trireme.store.contract import KeyValue, Page

# How many objects are held against a selection before others may have their turn.
AT_ONCE = 200


async def get(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """One object."""
    info = request.info
    asked = options.minimum_version(request)
    if asked is None or asked > context.store.revision:
        await context.store.barrier()
    if asked is not None and asked > context.store.revision:
        raise errors.too_large_resource_version(asked, context.store.revision)
    item = context.registry.get(endpoint.hub, info.namespace, info.name)
    if endpoint.converts:
        (item,) = await endpoint.from_stored([item])
    return form.one(request, endpoint, item, context.env.clock.now())


async def list_(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """A list, or a page of one."""
    options.refuse_shards(request, context.gates)
    opts = options.list_options(request, endpoint)
    items, meta = await select(context, endpoint, request.info.namespace, opts)
    if endpoint.converts:
        items = await endpoint.from_stored(items)
    now, turn = context.env.clock.now(), context.turns.begin()
    return await form.many(request, endpoint, items, meta, now, turn)


async def select(
    context: ServerContext, endpoint: Endpoint, namespace: str, opts: ListOptions
) -> tuple[list[KeyValue], ListMeta]:
    """The stored items of a list, and its metadata: revision, continue token, how many remain."""
    store = context.store
    prefix, hub = endpoint.prefix(namespace), endpoint.hub
    if opts.at is None and (
        opts.resource_version is None or opts.resource_version > store.revision
    ):
        await store.barrier()
    revision = _revision(opts, store.revision)
    after = prefix + opts.start if opts.start else None
    # A list of whatever is there comes whole.
    limit = 0 if opts.resource_version == 0 and opts.at is None else max(opts.limit, 0)
    selection = opts.selection
    try:
        if selection.everything:
            page = store.list(prefix, after=after, limit=limit, revision=revision)
            items, more, remaining = page.items, page.more, page.remaining
        else:
            if revision is None or revision == store.revision:
                among = context.indexes.newest(hub, namespace, selection, after)
                page = Page(among, store.revision, False, 0)
            else:
                page = store.list(prefix, after=after, revision=revision)
            items, more, remaining = [], False, 0
            turn = context.turns.begin()
            for start in range(0, len(page.items), AT_ONCE):
                some = page.items[start : start + AT_ONCE]
                items += await matching(context, endpoint, selection, some)
                if limit and len(items) >= limit:
                    more = len(items) > limit or items[-1] is not page.items[-1]
                    del items[limit:]
                    break
                await turn.pause()
    except stores.Compacted:
        if opts.at is None:
            raise errors.expired(errors.LIST_EXPIRED) from None
        again = options.encode_token(-1, opts.start)
        raise errors.expired(errors.INCONSISTENT_CONTINUE, again) from None
    meta = ListMeta(resourceVersion=str(page.revision))
    if more:
        meta.continue_ = options.encode_token(page.revision, items[-1].key[len(prefix) :])
        # With a selector nobody knows how many of the rest match.
        meta.remainingItemCount = remaining if selection.everything else None
    return items, meta


async def matching(
    context: ServerContext, endpoint: Endpoint, selection: Selection, items: list[KeyValue]
) -> Iterable[KeyValue]:
    """Those of stored items that a selection matches, in their order."""
    if views.selects_served(endpoint, selection):
        found = await views.served(endpoint, items)
        return (item for item, view in zip(items, found, strict=True) if selection.matches(view))
    return context.views.select(endpoint.hub, selection, items)


def _revision(opts: ListOptions, current: int) -> int | None:
    """The revision to read at; None for the newest."""
    exact = opts.match == "Exact" or (not opts.match and opts.limit > 0)
    if opts.at is not None:
        asked, exact = max(opts.at, 0), True
    else:
        asked = opts.resource_version or 0
    if asked == 0:
        return None
    if asked > current:
        raise errors.too_large_resource_version(asked, current)
    return asked if exact else None

"""GET of an object and of a list.

Semantics of resourceVersion and resourceVersionMatch:
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions.
"""

from __future__ import annotations

from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.reply import form
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.apiserver.verbs import options
from trireme.apiserver.verbs.options import ListOptions
from trireme.machinery import errors
from trireme.machinery.meta import ListMeta
from trireme.store import contract as stores
from trireme.store.contract import KeyValue


async def get(server: ApiServer, request: Request, endpoint: Endpoint) -> Reply:
    """One object."""
    info = request.info
    item = server.registry.get(endpoint, info.namespace, info.name)
    return form.one(request, endpoint, item, server.env.clock.now())


async def list_(server: ApiServer, request: Request, endpoint: Endpoint) -> Reply:
    """A list, or a page of one."""
    wanted = options.list_options(request, endpoint)
    items, meta = await select(server, endpoint, request.info.namespace, wanted)
    return form.many(request, endpoint, items, meta, server.env.clock.now())


async def select(
    server: ApiServer, endpoint: Endpoint, namespace: str, wanted: ListOptions
) -> tuple[list[KeyValue], ListMeta]:
    """The items of a list and its metadata (revision, continue token, how many remain)."""
    store = server.store
    prefix = endpoint.prefix(namespace)
    await store.barrier()
    revision = _revision(wanted, store.revision)
    after = prefix + wanted.start if wanted.start else None
    selection = wanted.selection
    try:
        if selection.everything:
            page = store.list(prefix, after=after, limit=wanted.limit, revision=revision)
            items, at, more, remaining = page.items, page.revision, page.more, page.remaining
        else:
            page = store.list(prefix, after=after, revision=revision)
            views = server.views
            items = []
            at, more, remaining = page.revision, False, 0
            for item in page.items:
                view = views.of(endpoint, item.key, item.revision, item.value)
                if selection.matches(view):
                    if wanted.limit and len(items) == wanted.limit:
                        more = True
                        break
                    items.append(item)
    except stores.Compacted:
        text = errors.CONTINUE_EXPIRED if wanted.at is not None else errors.LIST_EXPIRED
        raise errors.expired(text) from None
    meta = ListMeta(resourceVersion=str(at))
    if more:
        meta.continue_ = options.encode_token(at, items[-1].key[len(prefix) :])
        # With a selector nobody knows how many of the rest match.
        meta.remainingItemCount = remaining if selection.everything else None
    return items, meta


def _revision(wanted: ListOptions, current: int) -> int | None:
    """The revision to read at; None for the newest."""
    if wanted.at is not None:
        return wanted.at if wanted.at > 0 else None
    asked = wanted.resource_version
    if asked is None or asked == 0:
        return None
    if asked > current:
        raise errors.too_large_resource_version(asked, current)
    return asked if wanted.match == "Exact" else None

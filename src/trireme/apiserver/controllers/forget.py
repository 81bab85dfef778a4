"""Lets go of what memory has of objects that other API servers deleted.

Started by ``run``. What this server deletes the registry forgets itself.
"""

from __future__ import annotations

from trireme.apiserver.context import ServerContext
from trireme.store.contract import DELETED, SubscriptionClosed


async def forget(context: ServerContext) -> None:
    """For ever, where others write too."""
    store = context.store
    while store.shared:
        subscription = store.watch("/registry/", store.revision)
        try:
            while True:
                for event in await subscription.next():
                    if event.type == DELETED:
                        context.views.drop(event.key)
                        context.reader.drop(event.key)
        except SubscriptionClosed as closed:
            if closed.reason == "store closed":
                return
        finally:
            subscription.close()

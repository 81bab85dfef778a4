"""The etcd engine takes every revision once, whichever way it comes first. Without an etcd."""

from __future__ import annotations

from trireme.store.engine import Engine
from trireme.store.etcd.members import EtcdConfig
from trireme.store.etcd.pb import etcd_pb2 as pb
from trireme.store.etcd.store import EtcdStore, _Own


def put(store: EtcdStore, key: str, revision: int) -> pb.Event:
    kv = pb.KeyValue(
        key=store._codec.key(key), value=b"{}", mod_revision=revision, create_revision=revision
    )
    return pb.Event(type=pb.Event.PUT, kv=kv)


async def test_our_own_writes_are_not_taken_again_from_the_watch() -> None:
    """Their answers came while the watch was behind: it then brings all of them at once."""
    store = EtcdStore(EtcdConfig(("http://127.0.0.1:1",)))
    # The watch cache alone, which no etcd feeds.
    await Engine.start(store)
    watch = store.watch("/r/", store.revision)
    first = store.revision + 1
    for step in (1, 2):
        store._own[first + step] = _Own(f"/r/{step}", first + step, b"{}")
    store._receive([put(store, f"/r/{step}", first + step) for step in range(4)])
    assert store.revision == first + 3
    assert [event.revision for event in watch.take()] == [first, first + 1, first + 2, first + 3]

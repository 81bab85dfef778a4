"""etcd's requests, made of the contract's terms. Pure.

A write is one transaction that compares and then writes, and otherwise reads what is there.
"""

from __future__ import annotations

from trireme.store.etcd.pb import etcd_pb2 as pb

# The whole key space: the greatest end that etcd knows.
EVERYTHING = b"\x00"
# The revision and version of upstream's compactions; the servers agree by it who compacts.
COMPACT_KEY = b"compact_rev_key"


def put(key: bytes, value: bytes, lease: int = 0) -> pb.RequestOp:
    return pb.RequestOp(request_put=pb.PutRequest(key=key, value=value, lease=lease))


def remove(key: bytes) -> pb.RequestOp:
    return pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=key))


def write(key: bytes, expect: int | None, change: pb.RequestOp) -> pb.TxnRequest:
    """Make the change where the key was last modified at ``expect``: 0 where it is not there, None
    where it is."""
    compare = pb.Compare(
        key=key,
        target=pb.Compare.MOD,
        result=pb.Compare.GREATER if expect is None else pb.Compare.EQUAL,
        mod_revision=expect or 0,
    )
    return pb.TxnRequest(compare=[compare], success=[change], failure=[_get(key)])


def compaction(version: int, revision: int) -> pb.TxnRequest:
    """Take the turn to compact: as upstream's API servers do, so that one of all does."""
    compare = pb.Compare(
        key=COMPACT_KEY, target=pb.Compare.VERSION, result=pb.Compare.EQUAL, version=version
    )
    return pb.TxnRequest(
        compare=[compare], success=[put(COMPACT_KEY, b"%d" % revision)], failure=[_get(COMPACT_KEY)]
    )


def newest() -> pb.RangeRequest:
    """A linearizable read, whose response has the newest revision."""
    return pb.RangeRequest(key=COMPACT_KEY, count_only=True)


def page(after: bytes, revision: int, limit: int) -> pb.RangeRequest:
    """Everything after a key, at a revision."""
    return pb.RangeRequest(
        key=after + b"\x00", range_end=EVERYTHING, revision=revision, limit=limit
    )


def watch(after: int) -> pb.WatchRequest:
    """Everything that is written after a revision."""
    create = pb.WatchCreateRequest(key=EVERYTHING, range_end=EVERYTHING, start_revision=after + 1)
    return pb.WatchRequest(create_request=create)


def _get(key: bytes) -> pb.RequestOp:
    return pb.RequestOp(request_range=pb.RangeRequest(key=key))

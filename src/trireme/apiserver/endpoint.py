"""A kind as it is served: its ``Resource`` and what generic code compiled for it once.

Made by ``server`` for every resource of the catalog; used by the verbs. The store's keys are
``/registry/<plural[.group]>/[<namespace>/]<name>``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.machinery.resource import Resource
from trireme.store.contract import KeyValue, Value

# Stands where the store writes the revision; a quote inside a JSON string is always escaped, and
# kind, apiVersion and the metadata before it hold plain strings only, so the first match is it.
_SLOT = b'"resourceVersion":"\x00"'.replace(b"\x00", b"\\u0000")
_SLOT_HEAD = len(b'"resourceVersion":"')


class Endpoint:
    """One served kind."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.root = f"/registry/{resource.group_resource}/"
        self.decode = msgspec.json.Decoder(resource.type).decode
        # Items of a list come without kind and apiVersion; every stored value starts with these.
        identity = resource.type()
        self.item_prefix = len(
            b'{"kind":%s,"apiVersion":%s,'
            % (msgspec.json.encode(identity.kind), msgspec.json.encode(identity.apiVersion))
        )
        self.list_head = b'{"kind":%s,"apiVersion":%s,"metadata":' % (
            msgspec.json.encode(f"{resource.kind}List"),
            msgspec.json.encode(identity.apiVersion),
        )

    def prefix(self, namespace: str) -> str:
        """The keys of a namespace, or of all when it is empty."""
        return f"{self.root}{namespace}/" if namespace else self.root

    def key(self, namespace: str, name: str) -> str:
        return f"{self.root}{namespace}/{name}" if self.resource.namespaced else self.root + name

    def encode(self, obj: Any) -> Value:
        """The bytes of an object around the place where the store writes its revision."""
        obj.metadata.resourceVersion = "\x00"
        data = msgspec.json.encode(obj)
        at = data.index(_SLOT) + _SLOT_HEAD
        return Value(data[:at], data[at + 6 :])

    def load(self, item: KeyValue) -> Any:
        """A fresh, typed copy of a stored object."""
        return self.decode(item.value)


def with_revision(value: bytes, revision: int) -> bytes:
    """A stored value with another resourceVersion: what a watcher gets when an object leaves its
    selection, or a dry run that has none."""
    head, mark, rest = value.partition(b'"resourceVersion":"')
    return head + mark + b"%d" % revision + rest[rest.index(b'"') :]

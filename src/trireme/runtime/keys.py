"""Keys of objects within their kind, for caches and work queues."""

from __future__ import annotations

from typing import NamedTuple

from trireme.machinery import meta


class Key(NamedTuple):
    """(namespace, name); the namespace is "" for cluster-scoped kinds. Prints as ``ns/name``."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def of(metadata: meta.ObjectMeta) -> Key:
    """The key of the object with this metadata."""
    return Key(metadata.namespace, metadata.name)


def parse(text: str) -> Key:
    """``ns/name`` or ``name``."""
    namespace, slash, name = text.partition("/")
    return Key(namespace, name) if slash else Key("", text)

"""Files that keep a decision of the kubelet over its restart.

In: values of a known type. Out: a file with a checksum, replaced atomically; what it held. Called
by resize/store and images/pulled. ``CorruptCheckpoint``: the file is not what was written; its
reader decides.
"""

from __future__ import annotations

import zlib
from typing import Any, TypeVar

import msgspec

from trireme.kubelet.host.contract import Host

T = TypeVar("T")
MAX_BYTES = 64 << 20


class CorruptCheckpoint(Exception):
    """The message names the file."""


class _File(msgspec.Struct):
    data: str
    checksum: int


def write(host: Host, folder: str, name: str, value: Any) -> None:
    data = msgspec.json.encode(value).decode()
    content = msgspec.json.encode(_File(data, zlib.crc32(data.encode())))
    with host.open_root(folder) as root:
        root.remove(f".{name}")
        root.write(f".{name}", content, 0o600)
        root.rename(f".{name}", name)


def read(host: Host, folder: str, name: str, of: type[T]) -> T | None:
    """``None`` where there is no such file."""
    if host.info(f"{folder}/{name}") is None:
        return None
    try:
        with host.open_root(folder) as root:
            file = msgspec.json.decode(root.read(name, MAX_BYTES), type=_File)
        if zlib.crc32(file.data.encode()) != file.checksum:
            raise CorruptCheckpoint(f"{folder}/{name}: checkpoint is corrupted")
        return msgspec.json.decode(file.data, type=of)
    except msgspec.MsgspecError as error:
        raise CorruptCheckpoint(f"{folder}/{name}: {error}") from error

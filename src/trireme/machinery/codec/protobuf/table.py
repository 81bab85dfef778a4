"""The message table: which number of which message is which field. Read from ``messages.txt``.

A line without indent names a message (``core.v1.Pod``); the indented lines below it are its fields:
number, JSON name, type. ``[]`` before a type is a list, ``{}`` a map with text keys, name ``^`` a
message whose fields stand in its parent's JSON object.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

# Packages of groups whose name is not the first label of the group's.
_PACKAGES = {
    "": "core",
    "internal.apiserver.k8s.io": "apiserverinternal",
    "rbac.authorization.k8s.io": "rbac",
}
# Kinds that every group has, defined once.
_META = frozenset(
    {
        "APIGroup",
        "APIGroupList",
        "APIResourceList",
        "APIVersions",
        "CreateOptions",
        "DeleteOptions",
        "GetOptions",
        "ListOptions",
        "PartialObjectMetadata",
        "PartialObjectMetadataList",
        "PatchOptions",
        "Status",
        "UpdateOptions",
        "WatchEvent",
    }
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message."""

    name: str
    type: str
    repeated: bool
    mapped: bool

    @property
    def inline(self) -> bool:
        return self.name == "^"


class Messages:
    """The table, parsed."""

    def __init__(self, text: str) -> None:
        self._messages: dict[str, dict[int, Field]] = {}
        current: dict[int, Field] = {}
        for line in text.splitlines():
            if not line.startswith(" "):
                current = self._messages.setdefault(line, {})
                continue
            number, name, type_ = line.split()
            bare = type_.removeprefix("[]").removeprefix("{}")
            repeated, mapped = type_.startswith("[]"), type_.startswith("{}")
            current[int(number)] = Field(name, bare, repeated, mapped)

    def fields(self, name: str) -> dict[int, Field]:
        """The fields of a message by number; a message without fields may be unlisted."""
        return self._messages.get(name, {})

    def names(self) -> list[str]:
        """The names of all messages that have fields."""
        return list(self._messages)

    def of_kind(self, api_version: str, kind: str) -> str | None:
        """The message of a kind, None when it has none here."""
        group, slash, version = api_version.rpartition("/")
        if not slash:
            group = ""
        if kind in _META:
            return f"meta.v1.{kind}"
        name = f"{_PACKAGES.get(group, group.partition('.')[0])}.{version}.{kind}"
        return name if name in self._messages else None


@cache
def built_in() -> Messages:
    """The messages of the built-in kinds; read at the first protobuf body."""
    folder = resources.files("trireme.machinery.codec.protobuf")
    return Messages(folder.joinpath("messages.txt").read_text())

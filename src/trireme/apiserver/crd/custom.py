"""An object of a custom kind: typed metadata, and everything else as plain JSON.

It is a dict, so that encoding, patches and schemas see plain JSON, and it has the attributes that
generic code uses of every kind. Kind, version and metadata come first: the store's slot for the
revision is the first ``resourceVersion`` in the bytes.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from trireme.machinery.codec import json
from trireme.machinery.meta import ObjectMeta


class CustomObject(dict[str, Any]):
    """One object. Each served version has a subclass that knows its identity."""

    identity: ClassVar[tuple[str, str]] = ("", "")
    # Whether it was validated in another version already.
    is_validated = False
    # Whether it comes from an apply, with nulls that the schema does not know.
    is_applied = False
    # Warnings of the validation rules.
    warned: tuple[str, ...] = ()

    def __init__(self, content: dict[str, Any] | None = None) -> None:
        version, kind = self.identity
        super().__init__(kind=kind, apiVersion=version, metadata=None)
        if content is not None:
            self.update(content)
        if not isinstance(self["metadata"], ObjectMeta):
            self["metadata"] = ObjectMeta()

    @property
    def kind(self) -> str:
        return str(self["kind"])

    @property
    def apiVersion(self) -> str:
        return str(self["apiVersion"])

    @property
    def metadata(self) -> ObjectMeta:
        meta: ObjectMeta = self["metadata"]
        return meta

    @property
    def status(self) -> Any:
        return self.get("status")

    @status.setter
    def status(self, value: Any) -> None:
        if value is None:
            self.pop("status", None)
        else:
            self["status"] = value

    def plain(self) -> dict[str, Any]:
        """The object as plain JSON; the parts other than metadata are shared."""
        return {**self, "metadata": _decode_plain(msgspec.json.encode(self.metadata))}

    def keep_all_but_status(self, old: CustomObject) -> None:
        """A write to ``/status`` changes nothing else, not even metadata."""
        status = self.get("status")
        new, kept = self.metadata, old.metadata
        for name in ObjectMeta.__struct_fields__:
            if name not in ("managedFields", "resourceVersion"):
                setattr(new, name, getattr(kept, name))
        self.clear()
        self.update(old)
        self["metadata"] = new
        self.status = status


def kind_of(api_version: str, kind: str) -> type[CustomObject]:
    """The class of one version's objects."""
    return type(kind or "Custom", (CustomObject,), {"identity": (api_version, kind)})


class _WithMetadata(msgspec.Struct):
    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)


_decode_metadata = msgspec.json.Decoder(_WithMetadata).decode
_decode_plain = msgspec.json.Decoder().decode


def decoder(kind: type[CustomObject]) -> Any:
    """From stored bytes to an object."""

    def decode(value: bytes) -> CustomObject:
        content = json.plain(value)
        content["metadata"] = _decode_metadata(value).metadata
        return kind(content)

    return decode

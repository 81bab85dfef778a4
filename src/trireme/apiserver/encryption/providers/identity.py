"""identity: values as they are."""

from __future__ import annotations

from trireme.apiserver.encryption.providers.contract import TransformError

ENCRYPTED = b"k8s:enc:"


class Identity:
    prefix = b""

    def to_storage(self, data: bytes, context: bytes) -> bytes:
        return data

    def from_storage(self, data: bytes, context: bytes) -> bytes:
        if data.startswith(ENCRYPTED):
            raise TransformError("identity transformer tried to read encrypted data")
        return data

    def token(self, data: bytes) -> object:
        return b""

    def current(self) -> object:
        return b""

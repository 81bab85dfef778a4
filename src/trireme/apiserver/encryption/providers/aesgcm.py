"""aesgcm: AES-GCM with a random nonce before it, bound to the key in etcd."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trireme.apiserver.encryption.providers.contract import SHORT, Keyed, TransformError

PREFIX = b"k8s:enc:aesgcm:v1:"
_NONCE, _TAG = 12, 16


def provider(keys: Sequence[tuple[str, bytes]]) -> Keyed:
    return Keyed(PREFIX, "AES", [(name, AesGcm(key)) for name, key in keys])


class AesGcm:
    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, data: bytes, context: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, data, context)

    def open(self, data: bytes, context: bytes) -> bytes:
        if len(data) < _NONCE:
            raise TransformError(SHORT)
        try:
            if len(data) < _NONCE + _TAG:
                raise InvalidTag
            return self._cipher.decrypt(data[:_NONCE], data[_NONCE:], context)
        except InvalidTag:
            raise TransformError("cipher: message authentication failed") from None

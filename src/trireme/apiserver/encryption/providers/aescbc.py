"""aescbc: AES-CBC with PKCS#7 padding and a random IV before it. Not authenticated."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from trireme.apiserver.encryption.providers.contract import SHORT, Keyed, TransformError

PREFIX = b"k8s:enc:aescbc:v1:"
_BLOCK = 16


def provider(keys: Sequence[tuple[str, bytes]]) -> Keyed:
    return Keyed(PREFIX, "AES", [(name, AesCbc(key)) for name, key in keys])


class AesCbc:
    def __init__(self, key: bytes) -> None:
        self._key = algorithms.AES(key)

    def seal(self, data: bytes, context: bytes) -> bytes:
        iv = os.urandom(_BLOCK)
        padder = PKCS7(8 * _BLOCK).padder()
        padded = padder.update(data) + padder.finalize()
        sealer = Cipher(self._key, modes.CBC(iv)).encryptor()
        return iv + sealer.update(padded) + sealer.finalize()

    def open(self, data: bytes, context: bytes) -> bytes:
        if len(data) < _BLOCK:
            raise TransformError(SHORT)
        iv, sealed = data[:_BLOCK], data[_BLOCK:]
        if len(sealed) % _BLOCK:
            raise TransformError("the stored data is not a multiple of the block size")
        if not sealed:
            raise TransformError("invalid PKCS7 data (empty or not padded)")
        opener = Cipher(self._key, modes.CBC(iv)).decryptor()
        padded = opener.update(sealed) + opener.finalize()
        remover = PKCS7(8 * _BLOCK).unpadder()
        try:
            return remover.update(padded) + remover.finalize()
        except ValueError:
            raise TransformError("invalid padding on input") from None

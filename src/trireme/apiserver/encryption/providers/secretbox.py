"""secretbox: XSalsa20 and Poly1305 with a random nonce before it. Needs PyNaCl."""

from __future__ import annotations

from collections.abc import Sequence

from trireme.apiserver.encryption.providers.contract import SHORT, Keyed, TransformError

PREFIX = b"k8s:enc:secretbox:v1:"
_NONCE, _TAG = 24, 16


def provider(keys: Sequence[tuple[str, bytes]]) -> Keyed:
    """ValueError without PyNaCl."""
    return Keyed(PREFIX, "Secretbox", [(name, Secretbox(key)) for name, key in keys])


class Secretbox:
    def __init__(self, key: bytes) -> None:
        try:
            from nacl.secret import SecretBox
        except ImportError:
            raise ValueError("secretbox needs PyNaCl: pip install 'trireme[secretbox]'") from None
        self._box = SecretBox(key)

    def seal(self, data: bytes, context: bytes) -> bytes:
        return bytes(self._box.encrypt(data))

    def open(self, data: bytes, context: bytes) -> bytes:
        from nacl.exceptions import CryptoError

        if len(data) < _NONCE + _TAG:
            raise TransformError(SHORT)
        try:
            return bytes(self._box.decrypt(data))
        except CryptoError:
            raise TransformError("output array was not large enough for encryption") from None

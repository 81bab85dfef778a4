"""The settings of encryption at rest. Defaults: upstream's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trireme.kit.env import Env

# A name, the address of a socket and a timeout in seconds to a KMS plugin.
MakeKms = Callable[[str, str, float, Env], Any]


@dataclass(frozen=True)
class EncryptionSettings:
    """``read``: the content of the file of --encryption-provider-config. ``make_kms`` is given by
    whoever composes the server, as gRPC is large and only for this. ``prefix``: of keys in etcd, to
    which values are bound."""

    read: Callable[[], bytes] | None = None
    reload: bool = False
    make_kms: MakeKms | None = None
    prefix: str = "/registry"

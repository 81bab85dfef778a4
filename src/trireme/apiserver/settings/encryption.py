"""The settings of encryption at rest. Defaults: upstream's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EncryptionSettings:
    """``read``: the content of the file of --encryption-provider-config. ``prefix``: of keys in
    etcd, to which values are bound."""

    read: Callable[[], bytes] | None = None
    reload: bool = False
    prefix: str = "/registry"

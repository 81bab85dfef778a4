"""Flags of encryption at rest."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trireme.cluster import flag_kinds as kinds
from trireme.cluster.apiserver_flags import Area
from trireme.cluster.flags import Flag, Groups

if TYPE_CHECKING:
    from trireme.apiserver.config import ApiServerConfig
    from trireme.apiserver.encryption.providers.kms import Kms
    from trireme.kit.env import Env


@dataclass(frozen=True)
class Options:
    file: Path | None = None
    reload: bool = False


_GROUPS: Final[Groups] = {
    "Etcd": (
        Flag(
            "encryption-provider-config",
            "file",
            kinds.FILE,
            "A file with an EncryptionConfiguration: which resources are encrypted in the store.",
        ),
        Flag(
            "encryption-provider-config-automatic-reload",
            "reload",
            kinds.BOOL,
            "Read --encryption-provider-config again when it changes.",
        ),
    ),
}


def make_kms(name: str, endpoint: str, timeout: float, env: Env) -> Kms:
    """The KMS plugin at a socket."""
    # gRPC is large, and only for this.
    from trireme.apiserver.encryption.providers.kms import Kms

    return Kms(name, endpoint, timeout, env.clock.monotonic, env.uid)


def _configure(options: Options, config: ApiServerConfig) -> ApiServerConfig:
    if options.file is None:
        if options.reload:
            raise ValueError(
                "--encryption-provider-config-automatic-reload: there is no "
                "--encryption-provider-config"
            )
        return config
    from trireme.apiserver.encryption import configuration
    from trireme.apiserver.settings.encryption import EncryptionSettings

    try:
        configuration.decode(options.file.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"--encryption-provider-config: {error}") from None
    settings = EncryptionSettings(options.file.read_bytes, options.reload, make_kms)
    return dataclasses.replace(config, encryption=settings)


AREA: Final = Area(_GROUPS, Options(), _configure)

"""Flags of the API server's authentication."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trireme.cluster import flag_kinds as kinds
from trireme.cluster.apiserver_flags import Area
from trireme.cluster.flags import Flag, Groups

if TYPE_CHECKING:
    from trireme.apiserver.config import ApiServerConfig


@dataclass(frozen=True)
class Options:
    bootstrap_tokens: bool = False


_GROUPS: Final[Groups] = {
    "Authentication": (
        Flag(
            "enable-bootstrap-token-auth",
            "bootstrap_tokens",
            kinds.BOOL,
            "Take the tokens in Secrets of type bootstrap.kubernetes.io/token in kube-system.",
        ),
    ),
}


def _configure(options: Options, config: ApiServerConfig) -> ApiServerConfig:
    return dataclasses.replace(config, bootstrap_tokens=options.bootstrap_tokens)


AREA: Final = Area(_GROUPS, Options(), _configure)

"""Flags of the API server's behaviour under load."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from trireme.apiserver.settings.fairness import FairnessSettings
from trireme.cluster import flag_kinds as kinds
from trireme.cluster.apiserver_flags import Area
from trireme.cluster.flags import Flag, Groups

if TYPE_CHECKING:
    from trireme.apiserver.config import ApiServerConfig

_GROUPS: Final[Groups] = {
    "Generic": (
        Flag(
            "enable-priority-and-fairness",
            "enabled",
            kinds.BOOL,
            "Divide the requests that are answered at a time among priority levels; else they are"
            " only counted.",
        ),
        Flag(
            "request-timeout",
            "request_timeout",
            kinds.duration(0.001),
            "How long a request may last, but for watches and streams.",
        ),
    ),
}


def _configure(options: FairnessSettings, config: ApiServerConfig) -> ApiServerConfig:
    return dataclasses.replace(config, fairness=options)


AREA: Final = Area(_GROUPS, FairnessSettings(), _configure)

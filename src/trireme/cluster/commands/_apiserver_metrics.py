"""The flag of the API server's own metrics.k8s.io. Upstream has a server of its own for that."""

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
    resource_metrics: bool = True


_GROUPS: Final[Groups] = {
    "Metrics": (
        Flag(
            "resource-metrics",
            "resource_metrics",
            kinds.BOOL,
            "Serve metrics.k8s.io, for kubectl top and autoscalers, from what kubelets say. An"
            " APIService that names another server goes before it.",
        ),
    ),
}


def _configure(options: Options, config: ApiServerConfig) -> ApiServerConfig:
    return dataclasses.replace(config, resource_metrics=options.resource_metrics)


AREA: Final = Area(_GROUPS, Options(), _configure)

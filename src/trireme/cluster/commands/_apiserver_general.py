"""Flags of the API server that are of no other area: what is served, and how much at a time."""

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
    max_in_flight: int = 400
    max_mutating_in_flight: int = 200
    feature_gates: tuple[tuple[str, bool], ...] = ()
    runtime_config: tuple[tuple[str, bool], ...] = ()
    shutdown_delay: float = 0.0
    warn_unimplemented: bool = True


_GROUPS: Final[Groups] = {
    "Generic": (
        Flag(
            "max-requests-inflight",
            "max_in_flight",
            kinds.count(),
            "Requests that read, answered at a time; 0: no limit.",
        ),
        Flag(
            "max-mutating-requests-inflight",
            "max_mutating_in_flight",
            kinds.count(),
            "Requests that write, answered at a time; 0: no limit.",
        ),
        Flag(
            "feature-gates",
            "feature_gates",
            kinds.mapping("gates", kinds.BOOL),
            "NAME=true or =false, with commas between; one that cannot be set so is refused.",
        ),
        Flag(
            "shutdown-delay-duration",
            "shutdown_delay",
            kinds.duration(),
            "So long it serves on, and is not ready, when it is to end.",
        ),
        Flag(
            "warn-unimplemented",
            "warn_unimplemented",
            kinds.BOOL,
            "Warn of objects that Trireme does not act on yet; false where others' controllers"
            " run.",
        ),
    ),
    "API enablement": (
        Flag(
            "runtime-config",
            "runtime_config",
            kinds.mapping("gates", kinds.BOOL),
            "Which APIs are served: api/beta=true, GROUP/VERSION=true,"
            " GROUP/VERSION/RESOURCE=false.",
        ),
    ),
}


def _configure(options: Options, config: ApiServerConfig) -> ApiServerConfig:
    from trireme import api
    from trireme.api.catalog import Catalog
    from trireme.apiserver import gates

    feature_gates = {name.removeprefix("kube:"): on for name, on in options.feature_gates}
    runtime_config = dict(options.runtime_config)
    flag = "--feature-gates"
    try:
        gates.Gates(feature_gates)
        flag = "--runtime-config"
        gates.check(runtime_config, Catalog.of(api).resources)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None
    return dataclasses.replace(
        config,
        max_in_flight=options.max_in_flight,
        max_mutating_in_flight=options.max_mutating_in_flight,
        feature_gates=feature_gates,
        runtime_config=runtime_config,
        shutdown_delay=options.shutdown_delay,
        warn_unimplemented=options.warn_unimplemented,
    )


AREA: Final = Area(_GROUPS, Options(), _configure)

"""Flags of the API server's admission. Upstream: pkg/kubeapiserver/options/admission.go."""

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


@dataclass(frozen=True)
class Options:
    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    configuration: Path | None = None


_NAME: Final = kinds.matching("plugin", r"[A-Za-z]+", "must be the name of an admission plugin")
_GROUPS: Final[Groups] = {
    "Admission": (
        Flag(
            "enable-admission-plugins",
            "enabled",
            kinds.several(_NAME),
            "Admission plugins to run besides those that are on by default; the order is fixed.",
        ),
        Flag(
            "disable-admission-plugins",
            "disabled",
            kinds.several(_NAME),
            "Admission plugins that are on by default and shall not run.",
        ),
        Flag(
            "admission-control-config-file",
            "configuration",
            kinds.FILE,
            "A file of kind AdmissionConfiguration: the configurations of plugins.",
        ),
    ),
}


def _configure(options: Options, config: ApiServerConfig) -> ApiServerConfig:
    from trireme.apiserver.admission import order
    from trireme.apiserver.settings import admission

    if options == Options():
        return config
    settings = admission.Admission(frozenset(options.enabled), frozenset(options.disabled))
    path = options.configuration
    if path is not None:
        try:
            found = admission.decode(path.read_bytes(), path.parent, settings.read)
        except (ValueError, OSError) as error:
            raise ValueError(f"--admission-control-config-file: {path}: {error}") from None
        settings = dataclasses.replace(settings, configurations=found)
    # Their configurations are read here: no API server starts with what is wrong.
    order.plugins(settings)
    return dataclasses.replace(config, admission=settings)


AREA: Final = Area(_GROUPS, Options(), _configure)

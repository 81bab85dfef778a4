"""The options of a test's cluster. A value: two clusters with equal options begin equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trireme.testing.fake_cri import Behave
from trireme.testing.manifests import Manifest

NONE, FAKE, CONTAINERS = "none", "fake", "containers"
RUNTIMES = (NONE, FAKE, CONTAINERS)


@dataclass(frozen=True, kw_only=True)
class Options:
    """``nodes``: how many, ``node-0`` and so on; None: 1, or none where nothing runs containers.
    ``controllers``: as ``--controllers`` has them: ``*`` for all that are on by default,
    ``-cronjob`` for one less. ``feature_gates``: those of the API server and of the controllers.
    ``crds``: manifests that are there from the start. ``runtime``: ``fake`` nodes with containers
    in memory, ``none`` for a control plane alone, ``containers`` for those of ``trireme up``.
    ``seed``: of all that is left to chance. ``behave``: what the containers of fake nodes do.
    ``folders``: where paths of manifests begin."""

    nodes: int | None = None
    controllers: Sequence[str] = ("*",)
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    crds: Sequence[Manifest] = ()
    runtime: str = FAKE
    seed: int = 0
    behave: Behave | None = None
    folders: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if self.runtime not in RUNTIMES:
            raise ValueError(f"runtime {self.runtime!r}: not one of {', '.join(RUNTIMES)}")
        if isinstance(self.controllers, str):
            raise ValueError("controllers: a list of names, as in ('*', '-cronjob')")
        if self.runtime == NONE and self.nodes:
            raise ValueError(f"{self.nodes} nodes: with the runtime 'none' there are none")

    @property
    def node_names(self) -> list[str]:
        """The names of the nodes."""
        count = self.nodes if self.nodes is not None else int(self.runtime != NONE)
        return [f"node-{number}" for number in range(count)]

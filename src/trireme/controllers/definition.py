"""What a controller is to the manager: a name, and how it is made.

In: ``Tools``, all that a controller may use. Out: something that runs until cancelled. Each
reconciler's file says ``CONTROLLER = Definition(name, make)`` and is found by folder. ``name`` is
the service account of upstream's controller in kube-system, so that the bootstrap ClusterRole
``system:controller:<name>`` fits; a controller writes with that identity and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from trireme.client.client import Client
from trireme.kit.env import Env
from trireme.runtime.informer import Informers
from trireme.runtime.recorder import EventRecorder


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a cluster decides for its controllers. Times are seconds.

    ``root_ca``: PEM of the authority that pods trust; "" publishes none. ``terminated_pods``: so
    many finished pods are kept. ``node_grace``: how long a node may be silent; ``node_startup``:
    the same for one that never spoke. ``eviction_rate``, ``secondary_rate``: nodes per second
    whose pods are moved, in a healthy zone and in one that is not; the second is 0 for zones of no
    more than ``large_zone`` nodes. ``unhealthy_share`` of a zone's nodes make it unhealthy.
    ``namespace_delay``: how long after its deletion a namespace is emptied; several API servers
    need it, because one of them may not know of the deletion yet and let an object in.
    """

    root_ca: str = ""
    terminated_pods: int = 12500
    namespace_delay: float = 5.0
    node_grace: float = 50.0
    node_startup: float = 60.0
    eviction_rate: float = 0.1
    secondary_rate: float = 0.01
    large_zone: int = 50
    unhealthy_share: float = 0.55


@dataclass(frozen=True, kw_only=True)
class Tools:
    """A controller's means. ``client`` acts as the controller itself; ``informers`` are shared by
    all controllers and read as the manager."""

    client: Client
    informers: Informers
    recorder: EventRecorder
    env: Env
    settings: Settings = field(default_factory=Settings)


class Running(Protocol):
    """What ``make`` returns: a ``runtime.controller.Controller``, or a loop of its own."""

    async def run(self) -> None:
        """Work until cancelled."""


@dataclass(frozen=True)
class Definition:
    """One controller. ``make`` registers its informers; None when the settings give it no work."""

    name: str
    make: Callable[[Tools], Running | None]

"""The definition of a controller: its name and the function that makes it.

In: ``ControllerContext``, all that a controller may use. Out: something that runs until cancelled.
Each reconciler's file says ``CONTROLLER = Definition(name, make)`` and is found by folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from trireme.client.client import Client
from trireme.controllers.settings import Settings
from trireme.kit.env import Env
from trireme.runtime.component import Running
from trireme.runtime.informer import Informers
from trireme.runtime.recorder import EventRecorder


@dataclass(frozen=True, kw_only=True)
class ControllerContext:
    """A controller's arguments. ``client`` acts as the controller itself; ``informers`` are shared
    by all controllers and read as the manager."""

    client: Client
    informers: Informers
    recorder: EventRecorder
    env: Env
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Definition:
    """One controller, or a part of one: several may have one name.

    ``name`` is upstream's, as ``--controllers``, logs and health checks have it. ``make`` registers
    its informers; None when the settings give it no work. It writes as the service account
    ``account`` in kube-system and as nobody else; "" for the name. That is upstream's account, so
    that the bootstrap ClusterRole ``system:controller:<account>`` fits. ``as_manager``: it acts as
    the controller manager itself. ``component``: what its events name as their source, where that
    is not the account. ``on_by_default``: whether ``*`` switches it on. ``gate``: the feature gate
    without which it does not run, "" for none."""

    name: str
    make: Callable[[ControllerContext], Running | None]
    account: str = ""
    as_manager: bool = False
    component: str = ""
    on_by_default: bool = True
    gate: str = ""

    def __post_init__(self) -> None:
        if not self.account:
            object.__setattr__(self, "account", self.name)

"""The definition of a controller: its name and the function that makes it.

In: ``ControllerContext``, all that a controller may use. Out: something that runs until cancelled.
Each reconciler's file says ``CONTROLLER = Definition(name, make)`` and is found by folder. ``name``
is the service account of upstream's controller in kube-system, so that the bootstrap ClusterRole
``system:controller:<name>`` fits; a controller writes with that identity and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from trireme.client.client import Client
from trireme.controllers.settings import Settings
from trireme.kit.env import Env
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


class Running(Protocol):
    """What ``make`` returns: a ``runtime.controller.Controller``, or a loop of its own."""

    async def run(self) -> None:
        """Work until cancelled."""


@dataclass(frozen=True)
class Definition:
    """One controller. ``make`` registers its informers; None when the settings give it no work.
    ``as_manager``: it acts as the controller manager itself, not as an account of its own.
    ``component``: what its events name as their source, where that is not the account."""

    name: str
    make: Callable[[ControllerContext], Running | None]
    as_manager: bool = False
    component: str = ""

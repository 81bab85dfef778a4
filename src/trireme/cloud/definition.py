"""The definition of a controller of the cloud: its name and the function that makes it.

They are run by the loop of ``controllers.manager``, with another lease or beside its controllers.

Each reconciler's file says ``CONTROLLER = Definition(...)`` and is found by folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trireme.client.client import Client
from trireme.cloud.contract import Cloud
from trireme.cloud.settings import Settings
from trireme.kit.env import Env
from trireme.runtime.component import Running
from trireme.runtime.informer import Informers
from trireme.runtime.recorder import EventRecorder


@dataclass(frozen=True, kw_only=True)
class CloudContext:
    """A controller's arguments. ``client`` acts as the controller itself; ``informers`` are shared
    by all and read as the manager."""

    cloud: Cloud
    client: Client
    informers: Informers
    recorder: EventRecorder
    env: Env
    settings: Settings


@dataclass(frozen=True)
class Definition:
    """One controller. ``name`` is upstream's; it writes as the service account ``account`` in
    kube-system, and events name ``component`` as their source, or the account. ``make`` registers
    its informers; None when the provider or the settings give it no work."""

    name: str
    account: str
    make: Callable[[CloudContext], Running | None]
    component: str = ""

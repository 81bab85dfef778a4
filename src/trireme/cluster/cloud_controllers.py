"""The cloud's controllers as parts of a manager: the kube-controller-manager's of a local cluster,
or the cloud-controller-manager's, which is the same loop with another lease.

In: a provider. Out: definitions for ``ManagerConfig``.
"""

from __future__ import annotations

from typing import Final

from trireme import cloud
from trireme.cloud.autoscaler.settings import Settings as AutoscalerSettings
from trireme.cloud.contract import Cloud
from trireme.cloud.definition import CloudContext
from trireme.cloud.definition import Definition as CloudDefinition
from trireme.cloud.settings import Settings
from trireme.cluster import autoscaler_access
from trireme.cluster.settings import Settings as LocalSettings
from trireme.controllers.definition import ControllerContext, Definition
from trireme.kit import catalog
from trireme.kit.env import Env
from trireme.runtime.component import Running

NAME: Final = "cloud-controller-manager"


def definitions(provider: Cloud, settings: Settings) -> list[Definition]:
    """All controllers of the cloud, by folder and file."""
    return [_definition(item, provider, settings) for item in _found()]


def local(cluster: LocalSettings, env: Env) -> list[Definition]:
    """Those of a local cluster, with its provider and the provider's own loops."""
    # Only for clusters with nodes.
    from trireme.cluster.local_cloud import provider

    made = provider.LocalCloud(cluster, env)
    settings = Settings(cluster_name=cluster.name)
    own = Definition("trireme-cloud", lambda context: made, account="node-controller")
    found = [*definitions(made, settings), own]
    if cluster.scales:
        seconds = cluster.unneeded_time
        scaling = AutoscalerSettings(unneeded_time=seconds, delay_after_add=seconds)
        found.append(autoscaler(made, scaling))
    return found


def autoscaler(provider: Cloud, settings: AutoscalerSettings) -> Definition:
    """The cluster autoscaler."""
    name = autoscaler_access.ACCOUNT

    def make(context: ControllerContext) -> Running | None:
        # Only for clusters that scale.
        from trireme.cloud.autoscaler import loop

        return loop.make(_context(context, provider, Settings()), settings)

    return Definition(name, make)


def names() -> set[str]:
    """The controllers of the cloud."""
    return {item.name for item in _found()}


def accounts() -> list[str]:
    """The service accounts in kube-system that they and the autoscaler act as."""
    return sorted({autoscaler_access.ACCOUNT, *(item.account for item in _found())})


def _found() -> list[CloudDefinition]:
    return catalog.instances(cloud, CloudDefinition)


def _definition(item: CloudDefinition, provider: Cloud, settings: Settings) -> Definition:
    def make(context: ControllerContext) -> Running | None:
        return item.make(_context(context, provider, settings))

    return Definition(item.name, make, account=item.account, component=item.component)


def _context(context: ControllerContext, provider: Cloud, settings: Settings) -> CloudContext:
    return CloudContext(
        cloud=provider,
        client=context.client,
        informers=context.informers,
        recorder=context.recorder,
        env=context.env,
        settings=settings,
    )

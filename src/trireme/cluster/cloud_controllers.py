"""The cloud's controllers as parts of a manager: the kube-controller-manager's of a local cluster,
or the cloud-controller-manager's, which is the same loop with another lease.

In: a provider. Out: definitions for ``ManagerConfig``.
"""

from __future__ import annotations

from typing import Final

from trireme import cloud
from trireme.cloud.contract import Cloud
from trireme.cloud.definition import CloudContext
from trireme.cloud.definition import Definition as CloudDefinition
from trireme.cloud.settings import Settings
from trireme.cluster.settings import Settings as LocalSettings
from trireme.controllers.definition import ControllerContext, Definition
from trireme.kit import catalog
from trireme.kit.env import Env
from trireme.runtime.component import Running

LEASE: Final = "cloud-controller-manager"


def definitions(provider: Cloud, settings: Settings) -> list[Definition]:
    """All controllers of the cloud, by folder and file."""
    return [_definition(item, provider, settings) for item in _found()]


def local(cluster: LocalSettings, env: Env) -> list[Definition]:
    """Those of a local cluster, with its provider and the provider's own loops."""
    # Only for clusters with nodes.
    from trireme.cluster.local_cloud import provider

    made = provider.LocalCloud(cluster, env)
    own = Definition("trireme-cloud", lambda context: made, account="node-controller")
    return [*definitions(made, Settings(cluster_name=cluster.name)), own]


def accounts() -> list[str]:
    """The service accounts in kube-system that they act as."""
    return sorted({item.account for item in _found()})


def _found() -> list[CloudDefinition]:
    return catalog.instances(cloud, CloudDefinition)


def _definition(item: CloudDefinition, provider: Cloud, settings: Settings) -> Definition:
    def make(context: ControllerContext) -> Running | None:
        own = CloudContext(
            cloud=provider,
            client=context.client,
            informers=context.informers,
            recorder=context.recorder,
            env=context.env,
            settings=settings,
        )
        return item.make(own)

    return Definition(item.name, make, account=item.account, component=item.component)

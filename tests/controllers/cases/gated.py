"""Controllers behind feature gates: migrations, pools of devices, PodGroups, StorageVersions."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers import test_migration as migrations
from tests.controllers import test_pod_groups as pod_groups
from tests.controllers import test_pool_status as pools
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.apiserverinternal.v1alpha1.storageversion import StorageVersion
from trireme.api.coordination.v1.lease import Lease
from trireme.api.core import v1 as core
from trireme.api.resource.v1alpha3.resourcepoolstatusrequest_types import (
    ResourcePoolStatusRequest,
)
from trireme.api.scheduling.v1alpha2.podgroup import PodGroup
from trireme.api.storagemigration.v1beta1.storageversionmigration import (
    StorageVersionMigration,
)
from trireme.controllers.migration import storage_versions
from trireme.machinery import meta

MAPS: dict[str, Any] = {"group": "", "resource": "configmaps"}


async def migrate(w: World) -> None:
    """Two of one resource, which may not run at once."""
    for name in ("a", "b"):
        await w.client.create(
            core.ConfigMap(metadata=meta.ObjectMeta(name=name, namespace="default"))
        )
    for name in ("m", "n"):
        await w.client.create(migrations.migration(name, **MAPS))


def migrated(w: World) -> bool:
    return all(migrations.status_of(w, name) == migrations.SUCCEEDED for name in ("m", "n"))


def one_at_a_time(w: World) -> None:
    running = [
        item.metadata.name
        for item in w.list(StorageVersionMigration)
        if migrations.status_of(w, item.metadata.name) == {"Running": "True"}
    ]
    assert len(running) <= 1, running


async def ask(w: World) -> None:
    await w.client.create(pools.part("a", "p", 2))
    # What is answered once is answered by what the caches have.
    await w.env.clock.sleep(10.0)
    await w.client.create(pools.request())


def answered(w: World) -> bool:
    found = w.list(ResourcePoolStatusRequest)
    return len(found) == 1 and found[0].status is not None and found[0].status.poolCount == 1


async def group(w: World) -> None:
    await w.client.create(pod_groups.group())
    await w.until(lambda: w.list(PodGroup), 3000.0)
    await w.client.delete(PodGroup, "g", "default")


async def serve(w: World) -> None:
    labels = {storage_versions.IDENTITY: storage_versions.SERVER}
    for name in ("a", "b"):
        place = meta.ObjectMeta(name=name, namespace="kube-system", labels=labels)
        await w.client.create(Lease(metadata=place))
    made = await w.client.create(migrations.of_servers())
    found = migrations.of_servers(("a", "v1"), ("b", "v2"), ("gone", "v1"))
    await w.client.update_status(msgspec.structs.replace(made, status=found.status))


async def end(w: World) -> None:
    await w.client.delete(Lease, "b", "kube-system")


def served_by(*names: str) -> Any:
    def done(w: World) -> bool:
        return [
            entry.apiServerID
            for item in w.list(StorageVersion)
            for entry in item.status.storageVersions
        ] == [*names]

    return done


def of(name: str, controller: str, gate: str, *steps: Step, **more: Any) -> Case:
    return Case(name=name, controller=controller, steps=steps, options={"gates": (gate,)}, **more)


CASE = (
    of(
        "migration",
        "storage-version-migrator-controller",
        "StorageVersionMigrator",
        Step(act=migrate, done=migrated),
        holds=one_at_a_time,
    ),
    of(
        "pool-status",
        "resourcepoolstatusrequest-controller",
        "DRAResourcePoolStatus",
        Step(act=ask, done=answered),
    ),
    of(
        "pod-groups",
        "podgroup-protection-controller",
        "GenericWorkload",
        Step(act=group, done=lambda w: not w.list(PodGroup)),
    ),
    of(
        "storage-versions",
        "storageversion-garbage-collector-controller",
        "StorageVersionAPI",
        Step(act=serve, done=served_by("a", "b")),
        Step(act=end, done=served_by("a")),
    ),
)

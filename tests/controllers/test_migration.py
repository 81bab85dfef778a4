"""StorageVersionMigrations: what is old is stored anew, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.apiserver.crd import conftest as crds
from tests.controllers import harness
from trireme.api.apiextensions.v1.types import CustomResourceDefinition
from trireme.api.apiserverinternal.v1alpha1.storageversion import StorageVersion
from trireme.api.coordination.v1.lease import Lease
from trireme.api.core import v1 as core
from trireme.api.storagemigration.v1beta1.storageversionmigration import (
    StorageVersionMigration,
)
from trireme.controllers.migration import plan_migration, storage_versions
from trireme.controllers.migration.plan_migration import Advance, Begin, Finish
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.testing import virtual

GATE = "StorageVersionMigrator"


def migration(name: str, *true: str, created: int = 0, **resource: str) -> StorageVersionMigration:
    conditions = [{"type": kind, "status": "True", "reason": "x", "message": ""} for kind in true]
    body: dict[str, Any] = {
        "metadata": {"name": name},
        "spec": {"resource": resource or {"group": "example.com", "resource": "widgets"}},
        "status": {"conditions": conditions},
    }
    if created:
        body["metadata"]["creationTimestamp"] = f"2024-01-01T00:00:0{created}Z"
    return msgspec.convert(body, StorageVersionMigration)


OLD, NEW = migration("b", created=1), migration("a", created=2)
RUNS = migration("r", "Running", created=3)
DONE = migration("d", "Running", "Succeeded")
OVER = migration("o", "Failed")


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        ([], []),
        ([NEW, OLD], [Begin(OLD)]),
        # One at a time.
        ([NEW, RUNS, OLD], [Advance(RUNS)]),
        ([DONE, OLD], [Finish(DONE), Begin(OLD)]),
        ([OVER], []),
    ],
)
def test_one_migration_of_a_resource_runs(found: list[Any], steps: list[Any]) -> None:
    assert plan_migration.plan(found) == steps


def status_of(w: harness.World, name: str) -> dict[str, str]:
    found = w.find(StorageVersionMigration, name, "")
    return {c.type: c.status for c in found.status.conditions} if found is not None else {}


SUCCEEDED = {"Running": "False", "Succeeded": "True"}


def test_objects_of_a_custom_kind_are_stored_in_the_new_version() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env, gates=(GATE,), post_start_hooks=True) as w:
            w.list(StorageVersionMigration)
            definition = crds.definition(
                versions=[crds.version("v1"), crds.version("v2", storage=False)]
            )
            raw = w.client.dynamic(
                "apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False
            )
            await raw.create(definition)
            widgets = w.client.dynamic("example.com", "v1", "widgets")

            async def is_served() -> bool:
                try:
                    await widgets.list("default")
                except errors.ApiError:
                    return False
                return True

            while not await is_served():
                await env.clock.sleep(0.5)
            for name in ("a", "b", "c"):
                body = {
                    "apiVersion": "example.com/v1",
                    "kind": "Widget",
                    "metadata": {"name": name, "namespace": "default"},
                    "spec": {"size": 1},
                }
                await widgets.create(body, "default")
            # The other version is the one to store from now on.
            live = await raw.get("widgets.example.com")
            for version in live["spec"]["versions"]:
                version["storage"] = version["name"] == "v2"
            await raw.update(live, "widgets.example.com")
            await env.clock.sleep(5.0)
            before = {item["metadata"]["name"]: item for item in (await widgets.list()).items}
            live = await raw.get("widgets.example.com")
            assert live["status"]["storedVersions"] == ["v1", "v2"]

            await w.client.create(migration("m"))
            await w.until(lambda: status_of(w, "m") == SUCCEEDED)
            after = {item["metadata"]["name"]: item for item in (await widgets.list()).items}
            for name, item in before.items():
                assert after[name]["spec"] == item["spec"]
                assert (
                    after[name]["metadata"]["resourceVersion"]
                    != item["metadata"]["resourceVersion"]
                ), "not stored anew"
            crd = await w.client.get(CustomResourceDefinition, "widgets.example.com")
            assert crd.status.storedVersions == ["v2"]
            (condition,) = [c for c in crd.status.conditions if c.type == "StorageMigrating"]
            assert (condition.status, condition.reason) == ("False", "MigrationSucceeded")
            assert not await w.quiet(60.0)

    virtual.run(story)


def test_what_cannot_be_migrated_fails() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env, gates=(GATE,)) as w:
            w.list(StorageVersionMigration)
            await w.client.create(migration("nothing", resource="nothings", group="example.com"))
            reviews: dict[str, Any] = {
                "group": "authorization.k8s.io",
                "resource": "subjectaccessreviews",
            }
            await w.client.create(migration("reviews", **reviews))
            failed = {"Running": "False", "Failed": "True"}
            await w.until(lambda: status_of(w, "reviews") == failed)
            # It may come yet.
            assert status_of(w, "nothing") == {"Running": "True"}
            await w.until(lambda: status_of(w, "nothing") == failed, 90.0)
            found = w.get(StorageVersionMigration, "reviews", "")
            (message,) = [c.message for c in found.status.conditions if c.type == "Failed"]
            assert message == (
                'resource "authorization.k8s.io/v1, Resource=subjectaccessreviews" does not '
                "support discovery operations: [update patch list]"
            )

    virtual.run(story)


def test_what_was_written_since_is_left_alone() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env, gates=(GATE,)) as w:
            w.list(StorageVersionMigration)
            for name in ("a", "b"):
                place = meta.ObjectMeta(name=name, namespace="default")
                await w.client.create(core.ConfigMap(metadata=place))
            maps: dict[str, Any] = {"group": "", "resource": "configmaps"}
            await w.client.create(migration("m", **maps))
            await w.until(lambda: status_of(w, "m") == SUCCEEDED)
            assert set(w.get(core.ConfigMap, "a").data) == set()
            assert not await w.quiet(60.0)

    virtual.run(story)


def of_servers(*servers: tuple[str, str]) -> StorageVersion:
    versions = [
        {"apiServerID": server, "encodingVersion": version, "decodableVersions": [version]}
        for server, version in servers
    ]
    body = {"metadata": {"name": "example.com.widgets"}, "status": {"storageVersions": versions}}
    return msgspec.convert(body, StorageVersion)


def test_servers_that_agree() -> None:
    found = of_servers(("a", "v1"), ("b", "v2"))
    kept = found.status.storageVersions
    status = storage_versions.compute_status(found, kept, 0.0)
    assert status.commonEncodingVersion is None
    assert (status.conditions[0].status, status.conditions[0].reason) == (
        "False",
        "CommonEncodingVersionUnset",
    )
    status = storage_versions.compute_status(found, kept[:1], 0.0)
    assert status.commonEncodingVersion == "v1"
    assert status.conditions[0].status == "True"


def test_entries_of_dead_servers_go() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env, gates=("StorageVersionAPI",)) as w:
            for name in ("a", "b"):
                labels = {storage_versions.IDENTITY: storage_versions.SERVER}
                place = meta.ObjectMeta(name=name, namespace="kube-system", labels=labels)
                await w.client.create(Lease(metadata=place))
            made = await w.client.create(of_servers())
            found = of_servers(("a", "v1"), ("b", "v2"), ("gone", "v1"))
            await w.client.update_status(msgspec.structs.replace(made, status=found.status))

            def ids() -> list[str]:
                return [
                    entry.apiServerID
                    for item in w.list(StorageVersion)
                    for entry in item.status.storageVersions
                ]

            await w.until(lambda: ids() == ["a", "b"])
            await w.client.delete(Lease, "b", "kube-system")
            await w.until(lambda: ids() == ["a"])
            assert w.list(StorageVersion)[0].status.commonEncodingVersion == "v1"
            await w.client.delete(Lease, "a", "kube-system")
            await w.until(lambda: not w.list(StorageVersion))

    virtual.run(story)

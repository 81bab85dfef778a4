"""StorageVersionMigrations: the objects of a resource are written in the version of their storage.

In: StorageVersionMigrations. Out: an empty apply of each old object, the migration's conditions,
the stored versions of a CustomResourceDefinition. Run by ``manager`` with the feature gate
StorageVersionMigrator. Upstream: pkg/controller/storageversionmigrator; KEP-4192.

A key is a resource: (group, plural). Each step is one write, whose event brings the next.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from msgspec.structs import replace

from trireme.api.apiextensions.v1.types import CustomResourceDefinition
from trireme.api.storagemigration.v1beta1.storageversionmigration import (
    StorageVersionMigration,
)
from trireme.client import discovery
from trireme.client.resource_interface import ResourceInterface
from trireme.client.served import Served
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.migration import plan_migration
from trireme.controllers.migration.plan_migration import (
    FAILED,
    RUNNING,
    SUCCEEDED,
    Advance,
    Begin,
    Finish,
)
from trireme.machinery import errors, meta, time
from trireme.runtime import triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.keys import Key

NAME = "storage-version-migrator-controller"
RUNNER = "migration-runner-controller"
WORKERS = 5
PAGE = 500
# Seconds between two looks whether a new resource is served.
RECHECK = 5.0


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return Migrator(context).loop


class Migrator:
    """Works on one resource at a time."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._clock = context.env.clock
        self._migrations = context.informers.of(StorageVersionMigration)
        self._migrations.add_index(by_resource)
        self.loop = Controller(
            NAME,
            self.reconcile,
            context.env,
            triggers=[(self._migrations, triggers.mapped(by_resource_key))],
            workers=WORKERS,
        )

    async def reconcile(self, key: Key) -> After | None:
        """Take the next step of the resource's migrations."""
        for step in plan_migration.plan(self._migrations.by_index(by_resource, key)):
            match step:
                case Finish(migration):
                    await self._finish(key, migration)
                case Begin(migration):
                    await self._begin(key, migration)
                case Advance(migration):
                    return await self._advance(key, migration)
        return None

    async def _begin(self, key: Key, migration: StorageVersionMigration) -> None:
        crd, now = await self._definition(key), self._clock.now()
        if crd is not None:
            desired = plan_migration.begun(crd, migration.metadata.name, now)
            await self._apply(crd, desired)
        await self._write(migration, RUNNING, "MigrationRunning", "The migration is running")

    async def _finish(self, key: Key, migration: StorageVersionMigration) -> None:
        crd, now = await self._definition(key), self._clock.now()
        if crd is not None:
            succeeded = plan_migration.is_true(migration, SUCCEEDED)
            await self._apply(crd, plan_migration.ended(crd, succeeded, now))
        text = "Migration completed"
        await self._write(migration, RUNNING, "MigrationCompleted", text, status="False")

    async def _advance(self, key: Key, migration: StorageVersionMigration) -> After | None:
        served = await self._served(key)
        if served is None:
            created = time.parse(migration.metadata.creationTimestamp or "")
            if self._clock.now() < created + plan_migration.PATIENCE:
                return After(RECHECK)
            await self._fail(migration, "resource does not exist in discovery")
        elif not served.verbs.issuperset(plan_migration.VERBS):
            name = f"{_version(served)}, Resource={served.plural}"
            verbs = " ".join(plan_migration.VERBS)
            text = f'resource "{name}" does not support discovery operations: [{verbs}]'
            await self._fail(migration, text)
        elif not migration.status.resourceVersion:
            await self._note_revision(migration, served)
        else:
            await self._migrate(migration, served)
        return None

    async def _note_revision(self, migration: StorageVersionMigration, served: Served) -> None:
        interface = self._of(served)
        listed = await interface.list(limit=1)
        status = replace(migration.status, resourceVersion=listed.resource_version)
        await self._client.update_status(replace(migration, status=status))

    async def _migrate(self, migration: StorageVersionMigration, served: Served) -> None:
        """Apply nothing to each old object: it is stored anew. One that was written or deleted
        since (409) needs it no more."""
        interface = self._of(served)
        checkpoint, token = migration.status.resourceVersion, ""
        while True:
            page = await interface.list(limit=PAGE, continue_token=token)
            for item in page.items:
                metadata = item.metadata
                if not plan_migration.is_old(metadata.resourceVersion, checkpoint):
                    continue
                place = {"uid": metadata.uid, "resourceVersion": metadata.resourceVersion}
                desired = {
                    "apiVersion": _version(served),
                    "kind": served.kind,
                    "metadata": place,
                }
                try:
                    await interface.apply(metadata.name, metadata.namespace, desired, NAME)
                except errors.ApiError as error:
                    if errors.is_conflict(error):
                        continue
                    if error.code == 429 or error.code >= 500:
                        raise
                    await self._fail(migration, f"migration encountered unhandled error: {error}")
                    return
            token = page.continue_token
            if not token:
                break
        await self._write(migration, SUCCEEDED, "StorageVersionMigrationSucceeded", "")

    async def _fail(self, migration: StorageVersionMigration, message: str) -> None:
        await self._write(migration, FAILED, "StorageVersionMigrationFailed", message)

    async def _write(
        self,
        migration: StorageVersionMigration,
        kind: str,
        reason: str,
        message: str,
        *,
        status: str = "True",
    ) -> None:
        now = self._clock.now()
        changed = plan_migration.with_condition(migration, kind, status, reason, message, now)
        try:
            await self._client.update_status(changed)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    def _of(self, served: Served) -> ResourceInterface[meta.Object]:
        place = (served.group, served.version, served.plural)
        return self._client.metadata(*place, namespaced=served.namespaced)

    async def _served(self, key: Key) -> Served | None:
        for item in await discovery.served(self._client):
            if (item.group, item.plural) == key:
                return item
        return None

    async def _definition(self, key: Key) -> CustomResourceDefinition | None:
        if not key.namespace:
            return None
        try:
            return await self._client.get(CustomResourceDefinition, f"{key.name}.{key.namespace}")
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return None
            raise

    async def _apply(self, crd: CustomResourceDefinition, desired: object) -> None:
        interface = self._client.of(CustomResourceDefinition)
        await interface.apply(crd.metadata.name, "", desired, RUNNER, subresource="status")


def _version(served: Served) -> str:
    return f"{served.group}/{served.version}" if served.group else served.version


def by_resource_key(migration: StorageVersionMigration) -> Iterable[Key]:
    """The resource that is migrated: its group in place of a namespace."""
    resource = migration.spec.resource
    return [Key(resource.group, resource.resource)]


def by_resource(migration: StorageVersionMigration) -> Iterable[Hashable]:
    """Index of migrations: their resource."""
    return by_resource_key(migration)


CONTROLLER = Definition(NAME, make, gate="StorageVersionMigrator")

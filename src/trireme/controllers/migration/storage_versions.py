"""StorageVersions without the API servers that are no more.

In: StorageVersions, and the Leases with which API servers say that they are there. Out: their
status without entries of others; their deletion when none is left. Run by ``manager`` with the
feature gate StorageVersionAPI. Upstream: pkg/controller/storageversiongc; KEP-2339.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from trireme.api.apiserverinternal.v1alpha1.storageversion import (
    ServerStorageVersion,
    StorageVersion,
    StorageVersionCondition,
    StorageVersionStatus,
)
from trireme.api.coordination.v1.lease import Lease
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.machinery import errors, meta, time
from trireme.runtime import triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key

IDENTITY = "apiserver.kubernetes.io/identity"
SERVER = "kube-apiserver"
# Seconds until a server is looked for again that the API server knows and no cache.
RECHECK = 10.0
EQUAL = "AllEncodingVersionsEqual"


def make(context: ControllerContext) -> Controller:
    """Reconciles StorageVersions, all of them when a Lease goes."""
    selected = f"{IDENTITY}={SERVER}"
    leases = context.informers.of(Lease, "kube-system", label_selector=selected)
    versions = context.informers.of(StorageVersion)
    client = context.client

    async def reconcile(key: Key) -> After | None:
        found = versions.get(*key)
        if found is None or found.metadata.deletionTimestamp is not None:
            return None
        known = {item.metadata.name for item in leases.list()}
        named = {item.apiServerID for item in found.status.storageVersions}
        # A cache may lag behind: that a server is gone is believed of the API server only.
        alive = known | {name for name in named - known if await _is_alive(name)}
        kept = [item for item in found.status.storageVersions if item.apiServerID in alive]
        if len(kept) == len(found.status.storageVersions):
            # Of the end of one that the cache has never had no event may come.
            return After(RECHECK) if named - known else None
        try:
            if kept:
                status = compute_status(found, kept, context.env.clock.now())
                await client.update_status(msgspec.structs.replace(found, status=status))
            else:
                only = meta.Preconditions(uid=found.metadata.uid)
                options = meta.DeleteOptions(preconditions=only)
                await client.delete(StorageVersion, key.name, None, options)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
        return None

    async def _is_alive(name: str) -> bool:
        try:
            lease = await client.get(Lease, name, "kube-system")
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return False
            raise
        return lease.metadata.labels.get(IDENTITY) == SERVER

    def gone(event: Event[Lease]) -> Iterable[Key]:
        if event.type != DELETED:
            return ()
        return [Key("", item.metadata.name) for item in versions.list()]

    return Controller(
        "storage_version_garbage_collector",
        reconcile,
        context.env,
        triggers=[(versions, triggers.own()), (leases, gone)],
    )


def compute_status(
    found: StorageVersion, kept: Collection[ServerStorageVersion], now: float
) -> StorageVersionStatus:
    """The status with the entries that are kept: whether they agree on a version."""
    encodings = {item.encodingVersion for item in kept}
    common = encodings.pop() if len(encodings) == 1 else None
    equal = common is not None
    before = found.status.commonEncodingVersion
    old = next((item for item in found.status.conditions if item.type == EQUAL), None)
    changed = old is None or (old.status == "True") != equal or (before and common != before)
    condition = StorageVersionCondition(
        type=EQUAL,
        status="True" if equal else "False",
        observedGeneration=found.metadata.generation,
        lastTransitionTime=time.format(now) if changed or old is None else old.lastTransitionTime,
        reason="CommonEncodingVersionSet" if equal else "CommonEncodingVersionUnset",
        message="Common encoding version set" if equal else "Common encoding version unset",
    )
    others = [item for item in found.status.conditions if item.type != EQUAL]
    return StorageVersionStatus(
        storageVersions=list(kept), commonEncodingVersion=common, conditions=[*others, condition]
    )


CONTROLLER = Definition(
    "storageversion-garbage-collector-controller",
    make,
    account="storage-version-garbage-collector",
    gate="StorageVersionAPI",
)

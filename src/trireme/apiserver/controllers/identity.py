"""The Lease by which this API server is known among several, and the end of those of servers that
are gone.

In: the server's identity and the host's name. Out: Lease ``<identity>`` in kube-system, renewed;
deletions of expired ones. Started by ``run``; a server that is alone (its store is its own) needs
none. Upstream: pkg/controlplane/apiserver/server.go, KEP-1965.
"""

from __future__ import annotations

from typing import Any

from trireme.api.coordination.v1.lease import Lease, LeaseSpec
from trireme.apiserver.context import ServerContext
from trireme.apiserver.registry import MANAGER, SELF, Call
from trireme.machinery import errors, time
from trireme.machinery.meta import DeleteOptions, ObjectMeta
from trireme.store.contract import KeyValue, StoreUnavailable

NAMESPACE = "kube-system"
LABEL = "apiserver.kubernetes.io/identity"
COMPONENT = "kube-apiserver"
# Seconds: a lease's life, and between renewals and looks for expired ones.
DURATION = 3600
RENEWAL = 10.0
COLLECTION = 3600.0


async def keep(context: ServerContext) -> None:
    """Renew for ever."""
    identity = context.config.identity
    if not identity or not context.store.shared:
        return
    clock, holder = context.env.clock, f"{identity}_{context.env.uid()}"
    due = clock.monotonic() + COLLECTION
    while True:
        try:
            await _renew(context, identity, holder)
            if clock.monotonic() >= due:
                due = clock.monotonic() + COLLECTION
                await _collect(context)
        except (errors.ApiError, StoreUnavailable) as error:
            context.env.log.warning("the lease %s is not renewed: %s", identity, error)
        await clock.sleep(RENEWAL)


async def _renew(context: ServerContext, identity: str, holder: str) -> None:
    endpoint = context.endpoint(Lease)
    now = time.format_micro(context.env.clock.now())

    def create() -> Lease:
        return Lease(
            metadata=ObjectMeta(
                name=identity,
                namespace=NAMESPACE,
                labels={LABEL: COMPONENT, "kubernetes.io/hostname": context.config.hostname},
            ),
            spec=LeaseSpec(holderIdentity=holder, leaseDurationSeconds=DURATION, renewTime=now),
        )

    def change(_old: Any, item: KeyValue) -> Lease:
        lease: Lease = endpoint.load(item)
        lease.metadata.resourceVersion = ""
        lease.metadata.labels |= create().metadata.labels
        lease.spec = create().spec
        return lease

    call = Call(SELF, any_version=True, manager=MANAGER)
    await context.registry.update(endpoint, NAMESPACE, identity, change, call, create=create)


async def _collect(context: ServerContext) -> None:
    now = context.env.clock.now()
    for lease in context.reader.list(Lease, NAMESPACE):
        if lease.metadata.labels.get(LABEL) != COMPONENT or not lease.spec.renewTime:
            continue
        if time.parse_micro(lease.spec.renewTime) + (lease.spec.leaseDurationSeconds or 0) < now:
            await context.registry.delete(
                context.endpoint(Lease), NAMESPACE, lease.metadata.name, DeleteOptions(), Call(SELF)
            )

"""ComponentStatus: how the parts of the control plane are. Made when asked for, never stored.

The store is asked itself; the others are healthy by the Lease that they hold: they renew it while
they work. Deprecated upstream since v1.19, and still served there.
"""

from __future__ import annotations

import msgspec

from trireme.api.coordination.v1.lease import Lease
from trireme.api.core.v1.componentstatus import ComponentCondition, ComponentStatus
from trireme.apiserver.cache.views import View
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import KindHandler
from trireme.apiserver.reply import form
from trireme.apiserver.reply.reply import AnyReply
from trireme.apiserver.request import Request
from trireme.apiserver.verbs import options
from trireme.machinery import errors, time
from trireme.machinery.meta import ListMeta, ObjectMeta
from trireme.store.contract import KeyValue, StoreError

_STORE = "etcd-0"
_LEASES = {"controller-manager": "kube-controller-manager", "scheduler": "kube-scheduler"}


async def get(context: ServerContext, request: Request, endpoint: Endpoint) -> AnyReply:
    """One component."""
    name = request.info.name
    if name != _STORE and name not in _LEASES:
        raise errors.not_found(endpoint.resource.singular_name, name)
    item = _item(context, endpoint, name)
    return form.one(request, endpoint, item, context.env.clock.now())


async def list_(context: ServerContext, request: Request, endpoint: Endpoint) -> AnyReply:
    """All components."""
    selection = options.list_options(request, endpoint).selection
    names = [
        name
        for name in sorted((_STORE, *_LEASES))
        if selection.matches(View(0, {}, {"metadata.name": name}))
    ]
    items = [_item(context, endpoint, name) for name in names]
    now, turn = context.env.clock.now(), context.turns.begin()
    return await form.many(request, endpoint, items, ListMeta(), now, turn)


def _item(context: ServerContext, endpoint: Endpoint, name: str) -> KeyValue:
    error = _store(context) if name == _STORE else _lease(context, _LEASES[name])
    status = "False" if error else "True"
    condition = ComponentCondition(type="Healthy", status=status, error=error)
    condition.message = "" if error else "ok"
    value = ComponentStatus(metadata=ObjectMeta(name=name), conditions=[condition])
    return KeyValue(endpoint.key("", name), msgspec.json.encode(value), 0, 0)


def _store(context: ServerContext) -> str:
    try:
        return "" if context.store.revision >= 0 else "no revision"
    except StoreError as problem:
        return str(problem)


def _lease(context: ServerContext, name: str) -> str:
    """What is wrong with the holder of a Lease in kube-system; "" when it renews it."""
    lease = context.registry.reader.get(Lease, "kube-system", name)
    if lease is None or not lease.spec.holderIdentity or not lease.spec.renewTime:
        return f"nobody holds the lease kube-system/{name}"
    age = context.env.clock.now() - time.parse_micro(lease.spec.renewTime)
    if age > (lease.spec.leaseDurationSeconds or 15):
        return f"the lease kube-system/{name} was last renewed {age:.0f} s ago"
    return ""


KIND = KindHandler(ComponentStatus, verbs={"get": get, "list": list_})

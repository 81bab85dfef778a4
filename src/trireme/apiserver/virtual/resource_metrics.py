"""GET and LIST of NodeMetrics and PodMetrics.

In: what kubelets say (``scrape``), and the nodes and pods that are there. A pod that has just
started is not measured yet, and is left out; one that is asked for by name is then not found.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import KindHandler
from trireme.apiserver.reply import form
from trireme.apiserver.reply.reply import AnyReply
from trireme.apiserver.request import Request
from trireme.apiserver.resource_metrics.scrape import Known
from trireme.apiserver.resource_metrics.types import ContainerMetrics, NodeMetrics, PodMetrics
from trireme.apiserver.resource_metrics.usage import Usage
from trireme.apiserver.verbs import options, read
from trireme.machinery import errors, quantity, time
from trireme.machinery.meta import ListMeta, ObjectMeta
from trireme.store.contract import KeyValue

_MEASURED: dict[type, type] = {NodeMetrics: Node, PodMetrics: Pod}


async def get(context: ServerContext, request: Request, endpoint: Endpoint) -> AnyReply:
    """One node's, or pod's."""
    info = request.info
    of = context.endpoint(_MEASURED[endpoint.resource.type])
    item = context.reader.item(of, info.namespace, info.name)
    made = (
        None if item is None else _made(context, endpoint, of, item, await context.scraper.known())
    )
    if made is None:
        full = f"{info.namespace}/{info.name}" if info.namespace else info.name
        raise errors.not_found(endpoint.resource.group_resource, full)
    return form.one(request, endpoint, made, context.env.clock.now())


async def list_(context: ServerContext, request: Request, endpoint: Endpoint) -> AnyReply:
    """Those of the nodes, or pods, that the selectors choose."""
    opts = options.list_options(request, endpoint)
    of = context.endpoint(_MEASURED[endpoint.resource.type])
    known = await context.scraper.known()
    selected, _ = await read.select(context, of, request.info.namespace, opts)
    made = (_made(context, endpoint, of, item, known) for item in selected)
    items = [item for item in made if item is not None]
    now, turn = context.env.clock.now(), context.turns.begin()
    return await form.many(request, endpoint, items, ListMeta(), now, turn)


def _made(
    context: ServerContext, endpoint: Endpoint, of: Endpoint, item: KeyValue, known: Known
) -> KeyValue | None:
    """What is measured of a stored object; None where nothing is."""
    namespace, _, name = item.key[len(of.root) :].rpartition("/")
    labels = context.views.of(of.hub, item.key, item.revision, item.value).labels
    now = time.format(context.env.clock.now())
    meta = ObjectMeta(name=name, namespace=namespace, labels=dict(labels), creationTimestamp=now)
    value: NodeMetrics | PodMetrics
    if endpoint.resource.type is NodeMetrics:
        used = known.nodes.get(name)
        if used is None:
            return None
        value = NodeMetrics(metadata=meta, usage=_usage(used), **_when({"": used}))
    else:
        containers = known.pods.get((namespace, name))
        if containers is None:
            return None
        listed = [ContainerMetrics(each, _usage(containers[each])) for each in sorted(containers)]
        value = PodMetrics(metadata=meta, containers=listed, **_when(containers))
    return KeyValue(endpoint.key(namespace, name), msgspec.json.encode(value), 0, 0)


def _usage(used: Usage) -> dict[str, str]:
    memory = quantity.of(used.memory, quantity.BINARY_SI)
    return {"cpu": quantity.canonical(f"{used.cpu}n"), "memory": str(memory)}


def _when(used: Mapping[str, Usage]) -> dict[str, str]:
    """The end and the length of what was measured: of the container that was measured first."""
    first = min(used.values(), key=lambda each: each.at)
    window = time.format_duration(round(first.window, 3))
    return {"timestamp": time.format(first.at), "window": window}


NODES = KindHandler(NodeMetrics, verbs={"get": get, "list": list_})
PODS = KindHandler(PodMetrics, verbs={"get": get, "list": list_})

"""``pods/<name>/binding``: the scheduler says where a pod runs. Also POST of a Binding.

The pod must be unbound, ungated and not deleting, else 409. Binding sets ``spec.nodeName`` and the
PodScheduled condition. Upstream: pkg/registry/core/pod/storage BindingREST.
"""

from __future__ import annotations

from typing import Any

from trireme.api.core.v1.pod import binding as bindings
from trireme.api.core.v1.pod.binding import Binding
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.status import PodCondition
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import KindHandler, SubresourceHandler
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.apiserver.verbs import body, write
from trireme.machinery import errors, time
from trireme.machinery.status import Status
from trireme.store.contract import KeyValue


async def create(context: ServerContext, request: Request, _endpoint: Endpoint) -> Reply:
    """Bind a pod to the node that the Binding names."""
    info, call = request.info, write.call_of(request)
    binding: Binding = body.read_as(request, Binding)
    name = info.name or binding.metadata.name
    if binding.metadata.name and binding.metadata.name != name:
        raise errors.bad_request(
            f"the name of the object ({binding.metadata.name}) does not match the name on the URL "
            f"({name})"
        )
    problems = bindings.validate(binding)
    if problems:
        raise errors.invalid("Binding", name, problems)
    pods = context.endpoint(Pod)
    await context.registry.admit("CREATE", pods, "binding", info.namespace, name, binding, call)
    call.any_version = call.admitted = True
    now = time.format(context.env.clock.now())

    def bind(_old: Any, item: KeyValue) -> Any:
        pod: Pod = pods.load(item)
        _require_bindable(pod, binding)
        pod.spec.nodeName = binding.target.name
        pod.status.nominatedNodeName = ""
        pod.metadata.annotations |= binding.metadata.annotations
        pod.metadata.labels |= binding.metadata.labels
        pod.metadata.resourceVersion = ""
        set_scheduled(pod, now)
        return pod

    await context.registry.update(pods, info.namespace, name, bind, call, "binding")
    return reply.described(Status(status="Success", code=201), 201)


def set_scheduled(pod: Pod, now: str) -> None:
    """Condition PodScheduled becomes True."""
    condition = PodCondition(type="PodScheduled", status="True", lastTransitionTime=now)
    condition.observedGeneration = pod.metadata.generation
    for position, known in enumerate(pod.status.conditions):
        if known.type == "PodScheduled":
            if known.status == "True":
                condition.lastTransitionTime = known.lastTransitionTime
            pod.status.conditions[position] = condition
            return
    pod.status.conditions.append(condition)


def _require_bindable(pod: Pod, binding: Binding) -> None:
    meta = pod.metadata
    if binding.metadata.uid and binding.metadata.uid != meta.uid:
        message = f"Precondition failed: UID in precondition: {binding.metadata.uid}, "
        raise errors.conflict("pods/binding", meta.name, f"{message}UID in object meta: {meta.uid}")
    if meta.deletionTimestamp is not None:
        message = f"pod {meta.name} is being deleted, cannot be assigned to a host"
    elif pod.spec.nodeName:
        message = f'pod {meta.name} is already assigned to node "{pod.spec.nodeName}"'
    elif pod.spec.schedulingGates:
        message = f"pod {meta.name} has non-empty .spec.schedulingGates"
    else:
        return
    raise errors.conflict("pods/binding", meta.name, message)


HANDLER = SubresourceHandler("pods", "binding", {"create": create})
KIND = KindHandler(Binding, create)

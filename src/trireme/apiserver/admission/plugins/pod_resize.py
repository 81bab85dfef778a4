"""PodResizeValidator: a pod is resized only to what its node can hold. KEP-1287.

Upstream: plugin/pkg/admission/podresize.
"""

from __future__ import annotations

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod import aggregate
from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.machinery import errors, gotext, quantity
from trireme.machinery.quantity import Quantity
from trireme.machinery.resource import Resource
from trireme.machinery.status import StatusCause


class PodResize(PluginBase):
    """For ``pods/resize`` of pods that have a node."""

    name = "PodResizeValidator"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Pod and subresource == "resize" and operation == "UPDATE"

    def validate(self, attributes: Attributes, context: Context) -> None:
        pod: Pod = attributes.new
        if not pod.spec.nodeName or pod.metadata.generation == attributes.old.metadata.generation:
            return
        node = context.reader.get(Node, "", pod.spec.nodeName)
        quoted = gotext.quote(pod.spec.nodeName)
        if node is None:
            raise forbidden(attributes, f"node {quoted} not found")
        system = node.metadata.labels.get("kubernetes.io/os", "linux")
        if system != "linux":
            detail = f"pod resize is only supported on linux nodes, node {quoted} is "
            raise _refused(attributes, detail + gotext.quote(system), "UnsupportedPlatform")
        if lacking := _lacking(pod, node.status.allocatable):
            detail = f"node didn't have enough allocatable resources: {lacking}"
            raise _refused(attributes, detail, "NodeCapacity")


def _lacking(pod: Pod, allocatable: dict[str, str]) -> str:
    """What the pod requests beyond the whole node."""
    requests = aggregate.requests(pod.spec)
    if pod.spec.resources is not None:
        requests |= _parsed(pod.spec.resources.requests)
    for name, amount in _parsed(pod.spec.overhead).items():
        requests[name] = requests[name] + amount if name in requests else amount
    none = quantity.parse("0")
    found = []
    for name in ("cpu", "memory"):
        requested, there = requests.get(name, none), _parsed(allocatable).get(name, none)
        if requested > there:
            numbers = [
                amount.milli_value() if name == "cpu" else amount.value()
                for amount in (requested, there)
            ]
            found.append(f"{name}, requested: {numbers[0]}, allocatable: {numbers[1]}")
    return "; ".join(found)


def _parsed(resources: dict[str, str]) -> dict[str, Quantity]:
    return {name: quantity.parse(text) for name, text in resources.items()}


def _refused(attributes: Attributes, detail: str, cause: str) -> errors.ApiError:
    error = forbidden(attributes, detail)
    assert error.details is not None
    error.details.causes.append(StatusCause(reason=cause))
    return error

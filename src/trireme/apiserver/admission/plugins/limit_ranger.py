"""LimitRanger: the limit ranges of a namespace give containers defaults and bound what is asked.

Defaults for pods that are created; bounds for them, for pods that are resized, and for claims.
https://kubernetes.io/docs/concepts/policy/limit-range/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from trireme.api.core.v1.limitrange_types import LimitRange, LimitRangeItem
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod import aggregate
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.apiserver.cache.changes import Changes
from trireme.domain import resource_lists
from trireme.domain.resource_lists import ResourceList
from trireme.machinery import field
from trireme.machinery.quantity import Quantity
from trireme.machinery.resource import Resource

ANNOTATION = "kubernetes.io/limit-ranger"
# Above this, thousandths do not fit into 64 bits, and whole units are compared.
_MOST_MILLI = (2**63 - 1) // 1000
# What a pod may declare for all its containers.
_OF_PODS = ("cpu", "memory")


class LimitRanger(PluginBase):
    """For pods that are created or resized, and claims."""

    name = "LimitRanger"

    def __init__(self) -> None:
        self._changes: Changes | None = None
        self._none = False

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        if resource.type is Pod:
            return (subresource, operation) in (("", "CREATE"), ("resize", "UPDATE"))
        of_claims = resource.type is PersistentVolumeClaim and not subresource
        return of_claims and operation in ("CREATE", "UPDATE")

    def admit(self, attributes: Attributes, context: Context) -> None:
        if attributes.resource.type is not Pod:
            return
        for found in self._limits(attributes, context):
            _default(attributes.new, found)

    def validate(self, attributes: Attributes, context: Context) -> None:
        for found in self._limits(attributes, context):
            items = found.spec.limits or []
            if attributes.resource.type is Pod:
                problems = [*_of_pod(attributes.new.spec, items)]
            else:
                problems = [*_of_claim(attributes.new, items)]
            if problems:
                raise forbidden(attributes, field.join(problems))

    def _limits(self, attributes: Attributes, context: Context) -> list[LimitRange]:
        """The limit ranges of the namespace; whether there are any at all is known at once."""
        if self._changes is None:
            self._changes = context.reader.changes(LimitRange)
        if self._changes.any():
            self._none = not context.reader.list(LimitRange)
        old = attributes.old
        if self._none or (old is not None and old.metadata.deletionTimestamp is not None):
            return []
        return context.reader.list(LimitRange, attributes.namespace)


def _default(pod: Pod, found: LimitRange) -> None:
    """Give containers what they do not say, and note it on the pod."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for item in found.spec.limits or []:
        if item.type == "Container":
            requests |= item.defaultRequest
            limits |= item.default
    notes: list[str] = []
    groups = (("container", pod.spec.containers), ("init container", pod.spec.initContainers))
    for sort, containers in groups:
        for container in containers:
            notes += _fill(container, requests, limits, f"{sort} {container.name}")
    if notes:
        text = f"LimitRanger plugin set: {'; '.join(notes)}"
        pod.metadata.annotations = {**pod.metadata.annotations, ANNOTATION: text}


def _fill(
    container: Container, requests: Mapping[str, str], limits: Mapping[str, str], of: str
) -> Iterator[str]:
    own = container.resources
    asked = sorted(requests.keys() - own.requests.keys())
    bound = sorted(limits.keys() - own.limits.keys())
    if asked or bound:
        container.resources = replace(
            own, requests={**requests, **own.requests}, limits={**limits, **own.limits}
        )
    if asked:
        yield f"{', '.join(asked)} request for {of}"
    if bound:
        yield f"{', '.join(bound)} limit for {of}"


def _of_pod(spec: PodSpec, items: Iterable[LimitRangeItem]) -> Iterator[str]:
    for item in items:
        if item.type == "Container":
            for container in (*spec.containers, *spec.initContainers):
                resources = container.resources
                requests = resource_lists.parse(resources.requests)
                yield from _bounds(item, requests, resource_lists.parse(resources.limits))
        elif item.type == "Pod":
            requests, limits = aggregate.requests(spec), aggregate.limits(spec)
            if spec.resources is not None:
                requests |= _declared(spec.resources.requests)
                limits |= _declared(spec.resources.limits)
            yield from _bounds(item, requests, limits)


def _declared(texts: Mapping[str, str]) -> ResourceList:
    return resource_lists.parse({name: texts[name] for name in _OF_PODS if name in texts})


def _of_claim(claim: PersistentVolumeClaim, items: Iterable[LimitRangeItem]) -> Iterator[str]:
    requests = resource_lists.parse(claim.spec.resources.requests)
    for item in items:
        if item.type == "PersistentVolumeClaim":
            yield from _minimum(item, requests, {})
            for name, most in resource_lists.parse(item.max).items():
                head = f"maximum {name} usage per {item.type} is {most}"
                if name not in requests:
                    yield f"{head}.  No request is specified"
                elif _exceeds(requests[name], most):
                    yield f"{head}, but request is {requests[name]}"


def _bounds(item: LimitRangeItem, requests: ResourceList, limits: ResourceList) -> Iterator[str]:
    yield from _minimum(item, requests, limits)
    for name, most in resource_lists.parse(item.max).items():
        head = f"maximum {name} usage per {item.type} is {most}"
        if name not in limits:
            yield f"{head}.  No limit is specified"
        elif _exceeds(limits[name], most):
            yield f"{head}, but limit is {limits[name]}"
        elif name in requests and _exceeds(requests[name], most):
            yield f"{head}, but request is {requests[name]}"
    for name, most in resource_lists.parse(item.maxLimitRequestRatio).items():
        yield from _ratio(f"{name} max limit to request ratio per {item.type} is {most}", name,
                          most, requests, limits)  # fmt: skip


def _minimum(item: LimitRangeItem, requests: ResourceList, limits: ResourceList) -> Iterator[str]:
    for name, least in resource_lists.parse(item.min).items():
        head = f"minimum {name} usage per {item.type} is {least}"
        if name not in requests:
            yield f"{head}.  No request is specified"
        elif _exceeds(least, requests[name]):
            yield f"{head}, but request is {requests[name]}"
        elif name in limits and _exceeds(least, limits[name]):
            yield f"{head}, but limit is {limits[name]}"


def _ratio(
    head: str, name: str, most: Quantity, requests: ResourceList, limits: ResourceList
) -> Iterator[str]:
    if not requests.get(name):
        yield f"{head}, but no request is specified or request is 0"
    elif not limits.get(name):
        yield f"{head}, but no limit is specified or limit is 0"
    elif limits[name].nanos * 10**9 > most.nanos * requests[name].nanos:
        yield f"{head}, but provided ratio is {limits[name].nanos / requests[name].nanos:f}"


def _exceeds(one: Quantity, other: Quantity) -> bool:
    """Whether ``one`` is more, in thousandths, or in whole units where those are too many."""
    if max(one.value(), other.value()) <= _MOST_MILLI:
        return one.milli_value() > other.milli_value()
    return one.value() > other.value()

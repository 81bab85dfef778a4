"""The resources that a node has allocated to a pod, and those that are in force. Pure.

In: a pod as the API has it, and its ``Record``. Out: the pod with its allocated resources, which is
the pod that this node runs. Called by resize/store, resize/manager, status and workers. Rules:
KEP-1287; KEP-5419 (pod-level resources).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trireme.api.core import v1 as core
from trireme.machinery import quantity

RESIZABLE = ("cpu", "memory")


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """``containers`` by name, init containers too; ``pod``: the pod-level resources."""

    containers: Mapping[str, core.ResourceRequirements] = {}
    pod: core.ResourceRequirements | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """``actuated``: what is in force while a resize is carried out; None: all of ``allocated``.

    The limits of actuated containers have the pod's where the container has none.
    """

    allocated: Resources
    actuated: Resources | None = None

    def resized(self, pod: core.Pod) -> Record:
        """``pod``'s resources are allocated from now on, and will have to come into force."""
        before = self.actuated
        if before is None:
            of_pod = self.allocated.pod
            before = Resources(
                containers={
                    name: effective(of_pod, resources)
                    for name, resources in self.allocated.containers.items()
                },
                pod=of_pod,
            )
        return Record(allocated=resources_of(pod), actuated=before)

    def started(self, name: str, resources: core.ResourceRequirements) -> Record:
        """``resources`` are in force for that container."""
        if self.actuated is None or name not in self.actuated.containers:
            return self
        containers = {**self.actuated.containers, name: resources}
        return Record(
            allocated=self.allocated,
            actuated=Resources(containers=containers, pod=self.actuated.pod),
        )

    def complete(self) -> Record:
        """All that is allocated is in force."""
        return Record(allocated=self.allocated)


def resources_of(pod: core.Pod) -> Resources:
    containers = (*pod.spec.initContainers, *pod.spec.containers)
    return Resources(
        containers={container.name: container.resources for container in containers},
        pod=pod.spec.resources,
    )


def allocated_pod(pod: core.Pod, allocated: Resources) -> core.Pod:
    """``pod`` with its allocated resources; ``pod`` itself where they are the desired ones."""
    desired = resources_of(pod)
    if same(desired.pod, allocated.pod) and all(
        same(resources, allocated.containers.get(name, resources))
        for name, resources in desired.containers.items()
    ):
        return pod
    spec = msgspec.structs.replace(
        pod.spec,
        resources=allocated.pod,
        containers=[_with(container, allocated) for container in pod.spec.containers],
        initContainers=[_with(container, allocated) for container in pod.spec.initContainers],
    )
    return msgspec.structs.replace(pod, spec=spec)


def effective(
    of_pod: core.ResourceRequirements | None, own: core.ResourceRequirements
) -> core.ResourceRequirements:
    """A container's resources, with the pod's limits where it has none itself."""
    if of_pod is None or not of_pod.limits:
        return own
    return core.ResourceRequirements(
        requests=own.requests, limits={**of_pod.limits, **own.limits}, claims=own.claims
    )


def same(one: core.ResourceRequirements | None, other: core.ResourceRequirements | None) -> bool:
    """Whether the amounts are equal, however they are written."""
    if one is None or other is None:
        return one is other
    return _same(one.requests, other.requests) and _same(one.limits, other.limits)


def _same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return one.keys() == other.keys() and all(
        text == other[name] or quantity.parse(text) == quantity.parse(other[name])
        for name, text in one.items()
    )


def _with(container: core.Container, allocated: Resources) -> core.Container:
    resources = allocated.containers.get(container.name)
    if resources is None or same(resources, container.resources):
        return container
    return msgspec.structs.replace(container, resources=resources)

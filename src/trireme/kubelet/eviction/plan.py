"""What to do about pressure on the node. Pure.

In: thresholds, observations, what pods use, what was observed before. Out: the node's conditions,
the threshold to act on, an order of pods, messages. Called by eviction/manager. Rules:
concepts/scheduling-eviction/node-pressure-eviction; upstream's pkg/kubelet/eviction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet import podresources, thresholds
from trireme.kubelet.thresholds import INODES, STORAGE, Observation, Threshold
from trireme.machinery import quantity
from trireme.machinery.quantity import BINARY_SI

REASON = "Evicted"
# Seconds for a pod that has to go at once.
IMMEDIATELY = 1


class Disk(msgspec.Struct, frozen=True):
    """Bytes and inodes."""

    used: int = 0
    inodes: int = 0

    def __add__(self, other: Disk) -> Disk:
        return Disk(self.used + other.used, self.inodes + other.inodes)


class ContainerUsage(msgspec.Struct, frozen=True, kw_only=True):
    """Memory is the working set, in bytes."""

    name: str
    memory: int = 0
    rootfs: Disk = Disk()
    logs: Disk = Disk()


class PodUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What one pod uses; ``volumes`` are the measured ones, by name."""

    containers: tuple[ContainerUsage, ...] = ()
    volumes: Mapping[str, Disk] = {}
    processes: int = 0

    @property
    def memory(self) -> int:
        return sum(container.memory for container in self.containers)


Usages = Mapping[str, PodUsage]  # by the pods' UIDs


class Layout(msgspec.Struct, frozen=True):
    """``image_fs``: images are on another file system than the node's; ``split``: and containers'
    writable layers are not on it."""

    image_fs: bool = False
    split: bool = False


class State(msgspec.Struct, frozen=True):
    """What one pass leaves to the next: when a threshold was first and a condition last seen."""

    first: Mapping[Threshold, float] = {}
    last: Mapping[str, float] = {}
    met: tuple[Threshold, ...] = ()
    conditions: tuple[str, ...] = ()


def advance(
    state: State,
    given: Sequence[Threshold],
    observed: Mapping[str, Observation],
    transition: float,
    now: float,
) -> State:
    """``met`` holds those to act on, whose grace period is over; conditions stay for
    ``transition`` seconds after they were last seen."""
    found = met(given, observed)
    # Until the minimum reclaim is there, too.
    found += [t for t in met(state.met, observed, reclaimed=True) if t not in found]
    first = {threshold: state.first.get(threshold, now) for threshold in found}
    last = {**state.last, **{threshold.condition: now for threshold in found}}
    return State(
        first=first,
        last=last,
        met=tuple(t for t, since in first.items() if now - since >= t.grace),
        conditions=tuple(sorted(name for name, at in last.items() if now - at < transition)),
    )


def met(
    given: Iterable[Threshold], observed: Mapping[str, Observation], *, reclaimed: bool = False
) -> list[Threshold]:
    return [
        threshold
        for threshold in given
        if threshold.signal in observed
        and threshold.is_met(observed[threshold.signal], reclaimed=reclaimed)
    ]


def most_urgent(given: Sequence[Threshold]) -> Threshold:
    """Memory before all others."""
    return min(given, key=lambda threshold: threshold.resource != "memory")


def reclaims(threshold: Threshold, layout: Layout) -> tuple[bool, bool]:
    """Whether dead containers and unused images are removed before pods have to go."""
    if threshold.resource not in (STORAGE, INODES):
        return False, False
    place = threshold.signal.partition(".")[0]
    if layout.image_fs and layout.split:
        return place != "imagefs", place == "imagefs"
    either = not layout.image_fs or place != "nodefs"
    return either, either


def rank(
    pods: Iterable[core.Pod], usages: Usages, threshold: Threshold, layout: Layout
) -> list[core.Pod]:
    """First those that use more than they request (not for processes), then by priority, then by
    what they use beyond their requests. A pod of unknown usage goes first."""

    def key(pod: core.Pod) -> tuple[bool, bool, int, int]:
        usage = usages.get(pod.metadata.uid)
        priority = pod.spec.priority or 0
        if usage is None:
            return False, False, priority, 0
        if threshold.resource == thresholds.PROCESSES:
            return True, False, priority, -usage.processes
        used = _used(pod, usage, threshold, layout)
        requests = podresources.pod_requests(pod)
        # Inodes cannot be requested, but storage is what counts beyond (as upstream has it).
        beyond = requests.get("memory" if threshold.resource == "memory" else STORAGE, 0)
        return True, used <= requests.get(threshold.resource, 0), priority, beyond - used

    if threshold.resource == thresholds.PROCESSES:
        return sorted(pods, key=lambda pod: (key(pod)[2], key(pod)[0], key(pod)[3]))
    return sorted(pods, key=key)


def grace_seconds(pod: core.Pod, threshold: Threshold, longest: int) -> int:
    if not threshold.grace:
        return IMMEDIATELY
    own = pod.spec.terminationGracePeriodSeconds
    return longest if own is None else min(longest, own)


def message(
    pod: core.Pod,
    usages: Usages,
    resource: str,
    given: Iterable[Threshold],
    observed: Mapping[str, Observation],
) -> tuple[str, dict[str, str]]:
    """The pod's status message, and the annotations of its event."""
    text = f"The node was low on resource: {resource}. "
    for threshold in given:
        item = observed.get(threshold.signal)
        if threshold.resource == resource and item is not None:
            available = quantity.of(item.available, thresholds.family(threshold.signal))
            least = threshold.quantity(item.capacity)
            text += f"Threshold quantity: {least}, available: {available}. "
            break
    usage = usages.get(pod.metadata.uid)
    if usage is None:
        return text, {}
    annotations: dict[str, str] = {}
    of_pod = pod.spec.resources.requests if pod.spec.resources is not None else {}
    if resource == "memory" and resource in of_pod:
        used = str(quantity.of(usage.memory, BINARY_SI))
        text += _larger("Pod", pod.metadata.name, used, of_pod[resource], resource)
        annotations = {"offending_pod": pod.metadata.name, "offending_pod_usage": used}
    specs = {c.name: c for c in (*pod.spec.containers, *pod.spec.initContainers)}
    names, used_by = [], []
    for container in usage.containers:
        spec = specs.get(container.name)
        if spec is None or resource not in ("memory", STORAGE):
            continue
        many = container.memory
        if resource == STORAGE:
            many = container.rootfs.used + container.logs.used
        request = spec.resources.requests.get(resource, "0")
        if many > podresources.value(spec.resources.requests, resource):
            used = str(quantity.of(many, BINARY_SI))
            text += _larger("Container", container.name, used, request, resource)
            names.append(container.name)
            used_by.append(used)
    return text, {
        **annotations,
        "offending_containers": ",".join(names),
        "offending_containers_usage": ",".join(used_by),
        "starved_resource": resource,
    }


class Exceeded(msgspec.Struct, frozen=True):
    """A pod's own limit; ``signal`` as metrics name it."""

    signal: str
    message: str


def over_limit(pod: core.Pod, usage: PodUsage, layout: Layout) -> Exceeded | None:
    """The first of the pod's own limits of local storage that it exceeds."""
    for volume in pod.spec.volumes:
        source = volume.emptyDir
        if source is None or not source.sizeLimit or volume.name not in usage.volumes:
            continue
        limit = quantity.parse(source.sizeLimit)
        if quantity.of(0) < limit < quantity.of(usage.volumes[volume.name].used):
            text = f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{limit}". '
            return Exceeded("emptydirfs.limit", text)
    limits = {c.name: c.resources.limits.get(STORAGE, "0") for c in pod.spec.containers}
    total = podresources.pod_limits(pod).get(STORAGE)
    if total is not None and _ephemeral(pod, usage) > total:
        family = next((quantity.parse(text).format for text in limits.values()), BINARY_SI)
        text = (
            "Pod ephemeral local storage usage exceeds the total limit of containers "
            f"{quantity.of(total, family)}. "
        )
        return Exceeded("ephemeralpodfs.limit", text)
    for container in usage.containers:
        limit = quantity.parse(limits.get(container.name, "0"))
        used = container.logs.used + (0 if layout.image_fs else container.rootfs.used)
        if quantity.of(0) < limit < quantity.of(used):
            text = (
                f'Container {container.name} exceeded its local ephemeral storage limit "{limit}". '
            )
            return Exceeded("ephemeralcontainerfs.limit", text)
    return None


def has_limit(pod: core.Pod) -> bool:
    """Whether the pod has to be measured in every pass."""
    return bool(podresources.pod_limits(pod).get(STORAGE)) or any(
        volume.emptyDir is not None and volume.emptyDir.sizeLimit for volume in pod.spec.volumes
    )


def is_local(volume: core.Volume) -> bool:
    """Whether what the volume holds counts as the pod's ephemeral storage."""
    on_disk = volume.emptyDir is not None and volume.emptyDir.medium == ""
    return on_disk or volume.configMap is not None


def _ephemeral(pod: core.Pod, usage: PodUsage) -> int:
    return sum(c.rootfs.used + c.logs.used for c in usage.containers) + _local(pod, usage).used


def _local(pod: core.Pod, usage: PodUsage) -> Disk:
    local = (volume.name for volume in pod.spec.volumes if is_local(volume))
    return sum((usage.volumes.get(name, Disk()) for name in local), Disk())


def _used(pod: core.Pod, usage: PodUsage, threshold: Threshold, layout: Layout) -> int:
    """What counts on the file system of the signal, or memory."""
    if threshold.resource == "memory":
        return usage.memory
    place = threshold.signal.partition(".")[0]
    root = logs = True
    if layout.image_fs and layout.split:
        root = logs = place != "imagefs"
    elif layout.image_fs:
        root, logs = place != "nodefs", place == "nodefs"
    total = Disk()
    for container in usage.containers:
        total += (container.rootfs if root else Disk()) + (container.logs if logs else Disk())
    if logs:
        total += _local(pod, usage)
    return total.inodes if threshold.resource == INODES else total.used


def _larger(what: str, name: str, used: str, request: str, resource: str) -> str:
    return (
        f"{what} {name} was using {used}, request is {request}, has larger consumption of "
        f"{resource}. "
    )

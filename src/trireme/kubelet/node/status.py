"""The Node object's status. Pure.

In: the machine, the configuration, the state of runtime and disks. Out: ``NodeStatus``, the node to
register, patches. Called by node/agent. Rules: reference "Node object", "QoS" (allocatable).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trireme.api.core import v1 as core
from trireme.api.core.v1 import resource_names
from trireme.kubelet import thresholds
from trireme.kubelet.config import VERSION, KubeletConfig
from trireme.kubelet.cri import model
from trireme.kubelet.host.contract import DiskUsage
from trireme.kubelet.node.machine import Machine
from trireme.machinery import quantity, time

MAX_IMAGES = 50
MAX_IMAGE_NAMES = 5
ATTACH_DETACH = "volumes.kubernetes.io/controller-managed-attach-detach"
# A cloud controller manager takes this taint off, and compares its addresses with this one.
UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
PROVIDED_IP = "alpha.kubernetes.io/provided-node-ip"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """``not_ready``: the message of the condition Ready, empty for a ready node; ``pressures``: the
    types of conditions that are True."""

    not_ready: str = ""
    pressures: Sequence[str] = ()
    disk: DiskUsage | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    config: KubeletConfig
    machine: Machine
    health: Health
    version: model.Version
    runtime: model.Status
    images: Sequence[model.Image] = ()
    volumes_in_use: Sequence[str] = ()
    now: float = 0.0


def capacity(config: KubeletConfig, machine: Machine, disk: DiskUsage | None) -> dict[str, str]:
    """Resource name to canonical quantity."""
    found = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory // 1024}Ki",
        "ephemeral-storage": f"{disk.capacity // 1024}Ki" if disk is not None else "0",
        "pods": str(config.max_pods),
        **{f"hugepages-{size}": str(total) for size, total in machine.hugepages.items()},
        **config.capacity,
    }
    return {name: str(quantity.parse(text)) for name, text in found.items()}


def allocatable(
    config: KubeletConfig, total: Mapping[str, str], *, of_cgroup: bool = False
) -> dict[str, str]:
    """Capacity without reserved resources and hard eviction thresholds; ``of_cgroup``: without
    reserved resources alone, which limits the cgroup of all pods."""
    found = dict(total)
    for reserved in (config.system_reserved, config.kube_reserved):
        for name, text in reserved.items():
            if name in found:
                found[name] = _less(found[name], quantity.parse(text))
    if not of_cgroup:
        for name, reservation in thresholds.reserved(config.eviction.hard, total).items():
            found[name] = _less(found[name], reservation)
    for name, text in total.items():
        if name.startswith("hugepages-"):
            found["memory"] = _less(found["memory"], quantity.parse(text))
    return found


def advertised(status: core.NodeStatus) -> dict[str, str]:
    """The extended resources in the capacity, which other clients own."""
    return {
        name: text for name, text in status.capacity.items() if resource_names.is_extended(name)
    }


def conditions(facts: Facts, before: Sequence[core.NodeCondition]) -> list[core.NodeCondition]:
    """The four conditions of the kubelet, with times."""
    health = facts.health
    found = [
        _pressure(
            "MemoryPressure",
            health.pressures,
            ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
            ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ),
        _pressure(
            "DiskPressure",
            health.pressures,
            ("KubeletHasDiskPressure", "kubelet has disk pressure"),
            ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ),
        _pressure(
            "PIDPressure",
            health.pressures,
            ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
            ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ),
        core.NodeCondition(
            type="Ready", status="False", reason="KubeletNotReady", message=health.not_ready
        )
        if health.not_ready
        else core.NodeCondition(
            type="Ready",
            status="True",
            reason="KubeletReady",
            message="kubelet is posting ready status",
        ),
    ]
    known = {condition.type: condition for condition in before}
    now_text = time.format(facts.now)
    for condition in found:
        earlier = known.get(condition.type)
        condition.lastHeartbeatTime = now_text
        if earlier is not None and earlier.status == condition.status:
            condition.lastTransitionTime = earlier.lastTransitionTime
        else:
            condition.lastTransitionTime = now_text
    return found


# What the API server must know of a node before it lets pods there ask for it (KEP-5328).
DECLARED_FEATURES = (
    "InPlacePodLevelResourcesVerticalScaling",
    "InPlacePodVerticalScalingInitContainers",
)


def status(facts: Facts, before: core.NodeStatus) -> core.NodeStatus:
    """The whole status; fields that other clients own are kept."""
    config, machine = facts.config, facts.machine
    total = {**advertised(before), **capacity(config, machine, facts.health.disk)}
    ours = conditions(facts, before.conditions)
    types = {condition.type for condition in ours}
    foreign = [condition for condition in before.conditions if condition.type not in types]
    result = msgspec.structs.replace(
        before,
        capacity=total,
        allocatable=allocatable(config, total),
        conditions=[*foreign, *ours],
        addresses=_addresses(config, before),
        nodeInfo=_info(facts),
        images=_images(facts.images),
        volumesInUse=list(facts.volumes_in_use),
        runtimeHandlers=_handlers(facts.runtime),
        features=_features(facts.runtime),
        declaredFeatures=list(DECLARED_FEATURES),
    )
    if config.server is not None:
        result.daemonEndpoints = core.NodeDaemonEndpoints(
            kubeletEndpoint=core.DaemonEndpoint(Port=config.server.port)
        )
    return result


def addresses(config: KubeletConfig) -> list[core.NodeAddress]:
    found = [core.NodeAddress(type="InternalIP", address=ip) for ip in config.node_ips]
    found.append(core.NodeAddress(type="Hostname", address=config.hostname or config.node_name))
    return found


def _addresses(config: KubeletConfig, before: core.NodeStatus) -> list[core.NodeAddress]:
    """Those of the configuration, until a cloud has given others."""
    if config.external_cloud and before.addresses:
        return before.addresses
    return addresses(config)


def node(config: KubeletConfig, machine: Machine, of: core.NodeStatus) -> core.Node:
    """The Node to register."""
    result = core.Node(status=of)
    result.metadata.name = config.node_name
    result.metadata.labels = labels(config, machine)
    result.metadata.annotations = {ATTACH_DETACH: "true"}
    result.spec.providerID = config.provider_id
    result.spec.taints = [
        core.Taint(key=key, value=value, effect=effect) for key, value, effect in config.taints
    ]
    if config.external_cloud:
        result.metadata.annotations[PROVIDED_IP] = ",".join(config.node_ips)
        result.spec.taints.append(core.Taint(UNINITIALIZED, value="true", effect="NoSchedule"))
    return result


def labels(config: KubeletConfig, machine: Machine) -> dict[str, str]:
    return {
        "kubernetes.io/hostname": config.hostname or config.node_name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": machine.architecture,
        **config.labels,
    }


def patch(before: core.NodeStatus, after: core.NodeStatus) -> dict[str, Any] | None:
    """A strategic merge patch of the status; ``None`` when only heartbeats differ."""
    old: dict[str, Any] = msgspec.to_builtins(before)
    new: dict[str, Any] = msgspec.to_builtins(after)
    changes = {name: new.get(name) for name in {**old, **new} if old.get(name) != new.get(name)}
    if "conditions" in changes:
        known = {c["type"]: c for c in old.get("conditions", [])}
        changes["conditions"] = [c for c in new["conditions"] if known.get(c["type"]) != c]
    if "addresses" in changes:
        # A merge by type would keep only one address of a type.
        changes["addresses"] = [*new["addresses"], {"$patch": "replace"}]
    for name in ("capacity", "allocatable"):
        if name in changes:
            gone = {key: None for key in old.get(name, {}) if key not in new.get(name, {})}
            changes[name] = {**gone, **new.get(name, {})}
    return {"status": changes} if changes else None


def same_but_heartbeat(one: core.NodeStatus, other: core.NodeStatus) -> bool:
    def still(of: core.NodeStatus) -> core.NodeStatus:
        return msgspec.structs.replace(
            of,
            conditions=[msgspec.structs.replace(c, lastHeartbeatTime=None) for c in of.conditions],
        )

    return still(one) == still(other)


def runtime_problem(status: model.Status) -> str:
    """Upstream's message about a runtime or network that is not ready; "" if both are."""
    known = {condition.type: condition for condition in status.status.conditions}
    for kind in ("RuntimeReady", "NetworkReady"):
        condition = known.get(kind)
        if condition is None:
            return f"container runtime status check may not have completed yet: no {kind}"
        if not condition.status:
            what = "container runtime" + (" network" if kind == "NetworkReady" else "")
            return (
                f"{what} not ready: {kind}=false reason:{condition.reason} "
                f"message:{condition.message}"
            )
    return ""


def _info(facts: Facts) -> core.NodeSystemInfo:
    machine, version = facts.machine, facts.version
    return core.NodeSystemInfo(
        machineID=machine.machine_id,
        systemUUID=machine.system_uuid,
        bootID=machine.boot_id,
        kernelVersion=machine.kernel_version,
        osImage=machine.os_image,
        containerRuntimeVersion=f"{version.runtime_name}://{version.runtime_version}",
        kubeletVersion=VERSION,
        operatingSystem="linux",
        architecture=machine.architecture,
        swap=core.NodeSwapStatus(capacity=machine.swap) if machine.swap else None,
    )


def _images(images: Sequence[model.Image]) -> list[core.ContainerImage]:
    """Largest first, as they matter most for image locality."""
    found = [
        core.ContainerImage(
            names=[*image.repo_digests, *image.repo_tags][:MAX_IMAGE_NAMES], sizeBytes=image.size
        )
        for image in images
        if image.repo_digests or image.repo_tags
    ]
    return sorted(found, key=lambda image: (-image.sizeBytes, image.names))[:MAX_IMAGES]


def _handlers(status: model.Status) -> list[core.NodeRuntimeHandler]:
    return [
        core.NodeRuntimeHandler(
            name=handler.name,
            features=core.NodeRuntimeHandlerFeatures(
                recursiveReadOnlyMounts=handler.features.recursive_read_only_mounts,
                userNamespaces=handler.features.user_namespaces,
            )
            if handler.features is not None
            else None,
        )
        for handler in status.runtime_handlers
    ]


def _features(status: model.Status) -> core.NodeFeatures | None:
    if status.features is None:
        return None
    return core.NodeFeatures(supplementalGroupsPolicy=status.features.supplemental_groups_policy)


def _pressure(
    kind: str, pressures: Sequence[str], bad: tuple[str, str], good: tuple[str, str]
) -> core.NodeCondition:
    under = kind in pressures
    reason, message = bad if under else good
    return core.NodeCondition(
        type=kind, status="True" if under else "False", reason=reason, message=message
    )


def _less(text: str, by: quantity.Quantity) -> str:
    left = quantity.parse(text) - by
    return str(left) if left.nanos > 0 else "0"

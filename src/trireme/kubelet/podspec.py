"""Facts about a pod's specification that several parts of the kubelet need.

In: a Pod or a Container. Out: facts. Pure. Rules: the Pod API reference; KEP-753 (sidecars),
KEP-5307 (container restart rules).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from trireme.api.core import v1 as core

# Where the kubelet has a pod from: ``api``, ``file`` or ``http``. Never as the API has it.
SOURCE = "kubernetes.io/config.source"
# Upstream's default when the field is absent (a pod that bypassed defaulting).
DEFAULT_GRACE_SECONDS = 30
# The priority of critical pods and above: upstream's SystemCriticalPriority.
CRITICAL = 2_000_000_000


def is_sidecar(container: core.Container) -> bool:
    """An init container that keeps running beside the regular ones."""
    return container.restartPolicy == "Always"


def is_host_network(pod: core.Pod) -> bool:
    return pod.spec.hostNetwork


def full_name(pod: core.Pod) -> str:
    """A pod in log messages, as upstream prints it: ``name_namespace(uid)``."""
    return f"{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})"


def directory(root: str, uid: str) -> str:
    """Where the kubelet keeps what is the pod's, below its ``root_dir``."""
    return f"{root}/pods/{uid}"


def log_directory(logs_dir: str, pod: core.Pod) -> str:
    """Where the logs of the pod's containers are."""
    meta = pod.metadata
    return f"{logs_dir}/{meta.namespace}_{meta.name}_{meta.uid}"


def containers(pod: core.Pod) -> Iterator[tuple[str, core.Container]]:
    """Every container with its kind: ``init``, ``container`` or ``ephemeral``."""
    for container in pod.spec.initContainers:
        yield "init", container
    for container in pod.spec.containers:
        yield "container", container
    for container in pod.spec.ephemeralContainers:
        yield "ephemeral", container


def used_volumes(pod: core.Pod) -> set[str]:
    """The volumes that containers name; upstream sets up no others."""
    used: set[str] = set()
    for _, container in containers(pod):
        used.update(item.name for item in container.volumeMounts)
        used.update(item.name for item in container.volumeDevices)
    return used


def find(pod: core.Pod, name: str) -> core.Container | None:
    return next((container for _, container in containers(pod) if container.name == name), None)


def field_path(pod: core.Pod, name: str) -> str:
    """``spec.containers{web}``: how an event's involvedObject names a container."""
    lists = {
        "init": "initContainers",
        "container": "containers",
        "ephemeral": "ephemeralContainers",
    }
    for kind, container in containers(pod):
        if container.name == name:
            return f"spec.{lists[kind]}{{{name}}}"
    return ""


def spec_hash(container: core.Container) -> str:
    """A hash of the fields whose change restarts a running container: the image."""
    text = f"{container.name}\x00{container.image}".encode()
    return hashlib.sha256(text).hexdigest()[:8]


def restarts_on_failure(pod: core.Pod) -> bool:
    return pod.spec.restartPolicy != "Never"


def should_restart(container: core.Container, pod: core.Pod, exit_code: int) -> bool:
    """Whether a container that ended with ``exit_code`` is started again."""
    for rule in container.restartPolicyRules:
        if rule.exitCodes is None:
            continue
        listed = exit_code in rule.exitCodes.values
        if listed == (rule.exitCodes.operator == "In"):
            return rule.action == "Restart"
    policy = container.restartPolicy or pod.spec.restartPolicy
    if policy == "OnFailure":
        return exit_code != 0
    return policy != "Never"


def grace_seconds(pod: core.Pod, override: int | None = None) -> int:
    """The grace period: the smallest of the given ones, at least one second."""
    known = [
        value for value in (pod.metadata.deletionGracePeriodSeconds, override) if value is not None
    ]
    if not known:
        spec = pod.spec.terminationGracePeriodSeconds
        known = [DEFAULT_GRACE_SECONDS if spec is None else spec]
    return max(min(known), 1)


def is_terminal(status: core.PodStatus) -> bool:
    return status.phase in ("Succeeded", "Failed")


def is_static(pod: core.Pod) -> bool:
    """Whether the pod is from a file or a URL, not from the API."""
    return pod.metadata.annotations.get(SOURCE, "api") != "api"


def is_critical(pod: core.Pod) -> bool:
    """Static, node-critical and cluster-critical pods are never evicted and may preempt on the
    node."""
    priority = pod.spec.priority or 0
    return is_static(pod) or priority >= CRITICAL

"""The labels and annotations that identify the kubelet's sandboxes and containers.

In: pods and containers, or labels of the runtime. Out: the other. Pure. All state that must survive
a restart of the kubelet is here or in the API; other tools read these names too.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet import podspec

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"

HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
PRE_STOP = "io.kubernetes.container.preStopHandler"
PORTS = "io.kubernetes.container.ports"
POD_GRACE = "io.kubernetes.pod.terminationGracePeriod"
POD_DELETION_GRACE = "io.kubernetes.pod.deletionGracePeriod"


def of_sandbox(pod: core.Pod) -> dict[str, str]:
    return {**pod.metadata.labels, **_of_pod(pod)}


def of_container(pod: core.Pod, container: core.Container) -> dict[str, str]:
    return {CONTAINER_NAME: container.name, **_of_pod(pod)}


def container_annotations(
    pod: core.Pod, container: core.Container, restart_count: int
) -> dict[str, str]:
    result = {
        HASH: podspec.spec_hash(container),
        RESTART_COUNT: str(restart_count),
        MESSAGE_PATH: container.terminationMessagePath,
        MESSAGE_POLICY: container.terminationMessagePolicy,
    }
    if pod.metadata.deletionGracePeriodSeconds is not None:
        result[POD_DELETION_GRACE] = str(pod.metadata.deletionGracePeriodSeconds)
    if pod.spec.terminationGracePeriodSeconds is not None:
        result[POD_GRACE] = str(pod.spec.terminationGracePeriodSeconds)
    if container.lifecycle is not None and container.lifecycle.preStop is not None:
        result[PRE_STOP] = msgspec.json.encode(container.lifecycle.preStop).decode()
    if container.ports:
        result[PORTS] = msgspec.json.encode(container.ports).decode()
    return result


def restore(labels: Mapping[str, str], notes: Mapping[str, str]) -> tuple[core.Pod, core.Container]:
    """The fields of a pod and container needed to stop it, when the API no longer has the pod."""
    pod = core.Pod()
    pod.metadata.name = labels.get(POD_NAME, "")
    pod.metadata.namespace = labels.get(POD_NAMESPACE, "")
    pod.metadata.uid = labels.get(POD_UID, "")
    if notes.get(POD_GRACE):
        pod.spec.terminationGracePeriodSeconds = int(notes[POD_GRACE])
    container = core.Container(name=labels.get(CONTAINER_NAME, ""))
    if notes.get(PRE_STOP):
        handler = msgspec.json.decode(notes[PRE_STOP], type=core.LifecycleHandler)
        container.lifecycle = core.Lifecycle(preStop=handler)
    if notes.get(PORTS):
        container.ports = msgspec.json.decode(notes[PORTS], type=list[core.ContainerPort])
    pod.spec.containers = [container]
    return pod, container


def _of_pod(pod: core.Pod) -> dict[str, str]:
    return {
        POD_NAME: pod.metadata.name,
        POD_NAMESPACE: pod.metadata.namespace,
        POD_UID: pod.metadata.uid,
    }

"""The pods of a StatefulSet: ordinals, names, volumes, which template each is made from. Pure.

Called by ``plan``. Upstream: pkg/controller/statefulset/stateful_set_utils;
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#pod-identity.
"""

from __future__ import annotations

import msgspec

from trireme.api.apps.v1.controllerrevision import ControllerRevision
from trireme.api.apps.v1.statefulset_types import StatefulSet
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.volumes import PersistentVolumeClaimVolumeSource, Volume
from trireme.controllers.workloads import compute_pod
from trireme.controllers.workloads.history import compute_revisions
from trireme.domain import pods

REVISION = "controller-revision-hash"
POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"


def split(name: str) -> tuple[str, int]:
    """The name of the StatefulSet and the ordinal that a pod's name tells; ("", -1) for none."""
    parent, dash, digits = name.rpartition("-")
    if not dash or not digits.isascii() or not digits.isdigit():
        return "", -1
    number = int(digits) if len(digits) < 12 else 2**31
    return parent, number if number < 2**31 else -1


def ordinal(pod: Pod) -> int:
    """The pod's ordinal; -1 for none."""
    return split(pod.metadata.name)[1]


def is_member(stateful_set: StatefulSet, pod: Pod) -> bool:
    """Whether the pod's name is one that the StatefulSet gives."""
    return split(pod.metadata.name)[0] == stateful_set.metadata.name


def start(stateful_set: StatefulSet) -> int:
    """The first ordinal."""
    ordinals = stateful_set.spec.ordinals
    return ordinals.start if ordinals is not None else 0


def replicas(stateful_set: StatefulSet) -> int:
    """How many pods there should be."""
    return 1 if stateful_set.spec.replicas is None else stateful_set.spec.replicas


def in_range(stateful_set: StatefulSet, number: int) -> bool:
    """Whether the StatefulSet should have a pod of this ordinal."""
    first = start(stateful_set)
    return first <= number < first + replicas(stateful_set)


def revision_of(pod: Pod) -> str:
    """The name of the revision that the pod was made from."""
    return pod.metadata.labels.get(REVISION, "")


def is_unavailable(pod: Pod | None, min_ready: int, now: float) -> bool:
    """Whether it is not there, not ready for long enough, or being deleted."""
    if pod is None or pod.metadata.deletionTimestamp is not None:
        return True
    return not pods.is_available(pod, min_ready, now)


def made(
    stateful_set: StatefulSet,
    current: ControllerRevision,
    update: ControllerRevision,
    number: int,
) -> Pod:
    """The pod of an ordinal: of the current revision where the update has not come to it."""
    revision = current if _is_before_update(stateful_set, number) else update
    template = stateful_set.spec.template
    if revision is current and current is not update:
        template = compute_revisions.template_of(current) or template
    pod = compute_pod.pod_of(stateful_set, template)
    name = f"{stateful_set.metadata.name}-{number}"
    metadata = msgspec.structs.replace(
        pod.metadata,
        name=name,
        labels={
            **pod.metadata.labels,
            POD_NAME: name,
            POD_INDEX: str(number),
            REVISION: revision.metadata.name,
        },
    )
    spec = msgspec.structs.replace(
        pod.spec,
        hostname=name,
        subdomain=stateful_set.spec.serviceName,
        volumes=_volumes(stateful_set, pod, number),
    )
    return msgspec.structs.replace(pod, metadata=metadata, spec=spec)


def _is_before_update(stateful_set: StatefulSet, number: int) -> bool:
    strategy, first = stateful_set.spec.updateStrategy, start(stateful_set)
    if strategy.rollingUpdate is not None:
        return number < first + (strategy.rollingUpdate.partition or 0)
    current = stateful_set.status.currentReplicas
    return strategy.type == "RollingUpdate" and number < first + current


def claim_name(stateful_set: StatefulSet, template: str, number: int) -> str:
    """The name of the claim that the pod of an ordinal has of a claim template."""
    return f"{template}-{stateful_set.metadata.name}-{number}"


def _volumes(stateful_set: StatefulSet, pod: Pod, number: int) -> list[Volume]:
    """The pod's volumes: those of the claim templates take the place of others of their name."""
    names = [item.metadata.name for item in stateful_set.spec.volumeClaimTemplates]
    volumes = [
        Volume(
            name=name,
            persistentVolumeClaim=PersistentVolumeClaimVolumeSource(
                claimName=claim_name(stateful_set, name, number)
            ),
        )
        for name in names
    ]
    return volumes + [item for item in pod.spec.volumes if item.name not in names]


def corrected(stateful_set: StatefulSet, pod: Pod) -> Pod:
    """The pod with the identity and the volumes that it should have; itself where it has them."""
    number = ordinal(pod)
    desired = {POD_NAME: pod.metadata.name}
    if pod.metadata.labels.get(POD_NAME) != pod.metadata.name:
        labels = {**pod.metadata.labels, **desired, POD_INDEX: str(number)}
        pod = msgspec.structs.replace(
            pod, metadata=msgspec.structs.replace(pod.metadata, labels=labels)
        )
    if not _has_claims(stateful_set, pod, number):
        volumes = _volumes(stateful_set, pod, number)
        pod = msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, volumes=volumes))
    return pod


def _has_claims(stateful_set: StatefulSet, pod: Pod, number: int) -> bool:
    if not stateful_set.spec.volumeClaimTemplates:
        return True
    claimed = {
        item.name: item.persistentVolumeClaim.claimName
        for item in pod.spec.volumes
        if item.persistentVolumeClaim is not None
    }
    return all(
        claimed.get(item.metadata.name) == claim_name(stateful_set, item.metadata.name, number)
        for item in stateful_set.spec.volumeClaimTemplates
    )

"""Defaults of pods and of pod templates, beyond those that the types' markers say.

In: a decoded Pod or PodTemplateSpec with the markers' defaults applied. Out: the same, changed in
place; running it again changes nothing. Called by: the write path for pods, and by the defaults of
every kind that has a template. Upstream: pkg/apis/core/v1 defaults and conversions.
"""

from __future__ import annotations

from typing import Final

from trireme.api.core.v1.pod import aggregate, image
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.security import PodSecurityContext
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.status import PodIP, PodStatus
from trireme.api.core.v1.pod.template import PodTemplateSpec
from trireme.api.core.v1.pod.volumes import EmptyDirVolumeSource, Volume

# What old clients sent in place of spec.initContainers; dropped wherever it appears.
_OBSOLETE_ANNOTATIONS: Final = (
    "pod.beta.kubernetes.io/init-containers",
    "pod.alpha.kubernetes.io/init-containers",
    "pod.beta.kubernetes.io/init-container-statuses",
    "pod.alpha.kubernetes.io/init-container-statuses",
)
_SOURCES: Final = Volume.__struct_fields__[1:]


def pod(obj: Pod) -> None:
    """The defaults of a Pod."""
    spec = obj.spec
    of_spec(spec)
    for container in (*spec.containers, *spec.initContainers):
        resources = container.resources
        if resources.limits:
            for name, value in resources.limits.items():
                resources.requests.setdefault(name, value)
    if spec.resources is not None:
        _pod_level_resources(spec)
    if spec.enableServiceLinks is None:
        spec.enableServiceLinks = True
    if spec.hostNetwork:
        for container in (*spec.containers, *spec.initContainers):
            for port in container.ports:
                port.hostPort = port.hostPort or port.containerPort
    if spec.terminationGracePeriodSeconds is not None and spec.terminationGracePeriodSeconds < 0:
        spec.terminationGracePeriodSeconds = 1
    _drop_obsolete(obj.metadata.annotations)
    if obj.status.podIP or obj.status.podIPs:
        _same_ips(obj.status)


def template(obj: PodTemplateSpec) -> None:
    """The defaults of a workload's template; some of a Pod's are written only when it is made."""
    of_spec(obj.spec)
    _drop_obsolete(obj.metadata.annotations)


def of_spec(spec: PodSpec) -> None:
    """What pods and templates share."""
    if spec.securityContext is None:
        spec.securityContext = PodSecurityContext()
    if spec.serviceAccountName or spec.serviceAccount:
        same_account(spec)
    for container in spec.containers:
        _container(container)
    for container in spec.initContainers:
        _container(container)
    for ephemeral in spec.ephemeralContainers:
        _container(ephemeral)
    for volume in spec.volumes:
        _volume(volume)


def same_account(spec: PodSpec) -> None:
    """``serviceAccount`` is the old name of ``serviceAccountName``: both are always written."""
    spec.serviceAccountName = spec.serviceAccountName or spec.serviceAccount
    spec.serviceAccount = spec.serviceAccountName


def _container(container: Container) -> None:
    if not container.imagePullPolicy:
        container.imagePullPolicy = image.pull_policy(container.image)


def _volume(volume: Volume) -> None:
    for source in _SOURCES:
        if getattr(volume, source) is not None:
            break
    else:
        volume.emptyDir = EmptyDirVolumeSource()
    if volume.image is not None and not volume.image.pullPolicy:
        volume.image.pullPolicy = image.pull_policy(volume.image.reference)


def _pod_level_resources(spec: PodSpec) -> None:
    """Limits of huge pages from the containers, then requests from them or from the limits."""
    resources = spec.resources
    assert resources is not None
    if not resources.limits and not resources.requests:
        return
    for name, value in aggregate.limits(spec).items():
        if name.startswith(aggregate.HUGE_PAGES) and name not in resources.requests:
            resources.limits.setdefault(name, str(value))
    if not resources.limits:
        return
    for name, value in aggregate.requests(spec).items():
        # Huge pages cannot be overcommitted: their request follows the limit below.
        if aggregate.is_pod_level(name) and not name.startswith(aggregate.HUGE_PAGES):
            resources.requests.setdefault(name, str(value))
    for name, text in resources.limits.items():
        if aggregate.is_pod_level(name):
            resources.requests.setdefault(name, text)


def _drop_obsolete(annotations: dict[str, str]) -> None:
    if annotations:
        for name in _OBSOLETE_ANNOTATIONS:
            annotations.pop(name, None)


def _same_ips(status: PodStatus) -> None:
    """``podIP`` is the first of ``podIPs``; where both are sent and differ, ``podIP`` rules."""
    if status.podIP and (not status.podIPs or status.podIPs[0].ip != status.podIP):
        status.podIPs = [PodIP(ip=status.podIP)]
    status.podIP = status.podIPs[0].ip

"""Pods that share a volume and mount it with different SELinux labels are warned.

In: pods, claims, volumes, CSIDrivers. Out: Events, and a metric. Run by ``manager``, off by
default. Upstream: pkg/controller/volume/selinuxwarning; KEP-1710;
https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#selinux-label-change-warning-controller.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily

from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.storage.v1.csidriver import CSIDriver
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.storage import plan_selinux
from trireme.controllers.storage.claim_protection import by_claims
from trireme.controllers.storage.plan_selinux import Conflict, PodKey, Usage
from trireme.domain import pod_references, pods
from trireme.runtime import keys, recorder
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key

NAME = "selinux-warning-controller"
METRIC = "selinux_warning_controller_selinux_volume_conflict"
LABELS = (
    "property",
    "pod1_namespace",
    "pod1_name",
    "pod1_value",
    "pod2_namespace",
    "pod2_name",
    "pod2_value",
)


def make(context: ControllerContext) -> SELinuxWarning:
    """The control loop."""
    return SELinuxWarning(context)


class SELinuxWarning:
    """Keeps which pod uses which volume how, as it was last looked at."""

    def __init__(self, context: ControllerContext) -> None:
        self._events = context.recorder
        self._metrics = context.env.metrics
        self._pods = context.informers.of(Pod)
        self._claims = context.informers.of(PersistentVolumeClaim)
        self._volumes = context.informers.of(PersistentVolume)
        self._drivers = context.informers.of(CSIDriver)
        self._pods.add_index(by_claims)
        # By unique name of a volume, and within by pod.
        self._users: dict[str, dict[PodKey, Usage]] = {}
        self._several: dict[PodKey, list[str]] = {}
        self._loop = Controller(
            "selinux_warning",
            self.reconcile,
            context.env,
            triggers=[
                (self._pods, _of_pod),
                (self._claims, self._of_claim),
                (self._volumes, self._of_volume),
                (self._drivers, self._of_driver),
            ],
        )

    async def run(self) -> None:
        """Until cancelled."""
        self._metrics.register(self)
        try:
            await self._loop.run()
        finally:
            self._metrics.unregister(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The conflicts that there are, when metrics are read."""
        found = GaugeMetricFamily(
            METRIC, "Conflict between two Pods using the same volume", labels=LABELS
        )
        every = {
            conflict
            for users in self._users.values()
            for pod, usage in users.items()
            for conflict in plan_selinux.conflicts(pod, usage, users)
        }
        for item in every:
            values = (item.what, *item.pod, item.value, *item.other, item.other_value)
            found.add_metric(values, 1.0)
        yield found

    async def reconcile(self, key: Key) -> None:
        """Compare the pod with the others that use its volumes, where its use has changed."""
        pod = self._pods.get(*key)
        if pod is None or pods.is_finished(pod):
            self._forget(key, keep={})
            self._several.pop(key, None)
            return

        def volume_of(name: str) -> PersistentVolume | None:
            return self._volume(pod, name)

        usages, several = plan_selinux.compute_usages(pod, volume_of, self._mounts_labels)
        if several != self._several.get(key, []):
            self._several[key] = several
            for name in several:
                text = f'Volume "{name}" is mounted twice with different SELinux labels inside '
                self._events.event(
                    pod, recorder.WARNING, "MultipleSELinuxLabels", f"{text}this pod"
                )
        self._forget(key, keep=usages)
        for unique, usage in usages.items():
            users = self._users.setdefault(unique, {})
            if users.get(key) != usage:
                users[key] = usage
                self._report(plan_selinux.conflicts(key, usage, users))

    def _report(self, conflicts: Iterable[Conflict]) -> None:
        for conflict in conflicts:
            pod = self._pods.get(*conflict.pod)
            if pod is not None:
                self._events.event(pod, recorder.NORMAL, conflict.reason, conflict.message)

    def _forget(self, key: Key, keep: dict[str, Usage]) -> None:
        for unique in [name for name, users in self._users.items() if key in users]:
            if unique not in keep:
                del self._users[unique][key]
                if not self._users[unique]:
                    del self._users[unique]

    def _volume(self, pod: Pod, name: str) -> PersistentVolume | None:
        """The PersistentVolume behind a volume of the pod, once it is bound."""
        for volume in pod.spec.volumes:
            if volume.name == name:
                claim_name = pod_references.claim(pod, volume)
                claim = self._claims.get(pod.metadata.namespace, claim_name)
                bound = claim.spec.volumeName if claim is not None else ""
                return self._volumes.get("", bound) if bound else None
        return None

    def _mounts_labels(self, driver: str) -> bool:
        found = self._drivers.get("", driver)
        return found is not None and bool(found.spec.seLinuxMount)

    def _of_claim(self, event: Event[PersistentVolumeClaim]) -> Iterable[Key]:
        new, old = event.object, event.old
        bound_before = old.spec.volumeName if old is not None else ""
        if not new.spec.volumeName or new.spec.volumeName == bound_before:
            return ()
        return self._pods_of(event.key)

    def _of_volume(self, event: Event[PersistentVolume]) -> Iterable[Key]:
        claim = event.object.spec.claimRef
        return self._pods_of(Key(claim.namespace, claim.name)) if claim is not None else ()

    def _pods_of(self, claim: Key) -> list[Key]:
        return [keys.of(pod.metadata) for pod in self._pods.by_index(by_claims, claim)]

    def _of_driver(self, event: Event[CSIDriver]) -> Iterable[Key]:
        """The pods with volumes of a driver that mounts labels from now on, or no longer does."""
        old, new = event.old, event.object
        before = bool(old.spec.seLinuxMount) if old is not None else None
        if event.type != DELETED and before == bool(new.spec.seLinuxMount):
            return
        for users in self._users.values():
            for key, usage in users.items():
                if usage.driver == event.key.name:
                    yield Key(*key)


def _of_pod(event: Event[Pod]) -> Iterable[Key]:
    """What counts of a pod does not change; its end does."""
    old = event.old
    if event.type == DELETED or old is None:
        return [event.key]
    ended = pods.is_finished(event.object) and not pods.is_finished(old)
    return [event.key] if ended else ()


CONTROLLER = Definition(NAME, make, component="selinux_warning", on_by_default=False)

"""The claims of pods' ephemeral volumes: made with the pod, owned by it.

In: pods and claims. Out: claims. Run by ``manager``. Upstream: pkg/controller/volume/ephemeral;
https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#generic-ephemeral-volumes.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.volumes import Volume
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.domain import owners
from trireme.kit import metrics
from trireme.machinery import errors, meta
from trireme.runtime import recorder
from trireme.runtime.controller import Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key


class NotOwned(Exception):
    """There is a claim of the name that was not made for the pod."""


def make(context: ControllerContext) -> Controller:
    """Reconciles pods with ephemeral volumes."""
    pods = context.informers.of(Pod)
    claims = context.informers.of(PersistentVolumeClaim)

    registry, prefix = context.env.metrics, "ephemeral_volume_controller_create"
    created = metrics.counter(registry, f"{prefix}_total", "Claims that were to be created")
    failures = metrics.counter(registry, f"{prefix}_failures_total", "Claims that were not created")

    async def reconcile(key: Key) -> None:
        pod = pods.get(*key)
        if pod is None or pod.metadata.deletionTimestamp is not None:
            return
        for volume in pod.spec.volumes:
            try:
                await _ensure(pod, volume)
            except (NotOwned, errors.ApiError) as error:
                message = f"ephemeral volume {volume.name}: {error}"
                context.recorder.event(pod, recorder.WARNING, "FailedBinding", message)
                raise

    async def _ensure(pod: Pod, volume: Volume) -> None:
        if volume.ephemeral is None or volume.ephemeral.volumeClaimTemplate is None:
            return
        template, namespace = volume.ephemeral.volumeClaimTemplate, pod.metadata.namespace
        name = f"{pod.metadata.name}-{volume.name}"
        known = claims.get(namespace, name)
        if known is not None:
            if not owners.controls(pod, known.metadata):
                raise NotOwned(
                    f"PVC {namespace}/{name} was not created for pod {namespace}/"
                    f"{pod.metadata.name} (pod is not owner)"
                )
            return
        metadata = meta.ObjectMeta(
            name=name,
            namespace=namespace,
            labels=dict(template.metadata.labels),
            annotations=dict(template.metadata.annotations),
            ownerReferences=[owners.reference(pod)],
        )
        created.inc()
        try:
            await context.client.create(
                PersistentVolumeClaim(metadata=metadata, spec=template.spec)
            )
        except errors.ApiError as error:
            failures.inc()
            if errors.is_namespace_terminating(error):
                return
            error.message = f"create PVC {name}: {error.message}"
            raise

    def of_pod(event: Event[Pod]) -> Iterable[Key]:
        pod = event.object
        ephemeral = any(volume.ephemeral is not None for volume in pod.spec.volumes)
        return [event.key] if ephemeral and event.type != DELETED else ()

    def of_claim(event: Event[PersistentVolumeClaim]) -> Iterable[Key]:
        """The pod of a claim that is gone."""
        reference = owners.controller_of(event.object.metadata)
        if event.type != DELETED or reference is None or reference.kind != "Pod":
            return ()
        return [Key(event.key.namespace, reference.name)]

    return Controller(
        "ephemeral_volume",
        reconcile,
        context.env,
        triggers=[(pods, of_pod), (claims, of_claim)],
        workers=context.settings.workers.ephemeral_volume,
    )


CONTROLLER = Definition("ephemeral-volume-controller", make, component="ephemeral_volume")

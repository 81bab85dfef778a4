"""Claims and volumes: bound once, made and removed by a provisioner, attached to one node."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tests.controllers import test_attach as attach
from tests.controllers import test_volumes as volumes
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core import v1 as core
from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.storage.v1.volumeattachment import VolumeAttachment
from trireme.cluster import local_path
from trireme.machinery import errors


def bound(w: World) -> dict[str, str]:
    """The volume of each claim that is bound on both sides."""
    of_volumes = {
        item.metadata.name: item.spec.claimRef
        for item in w.list(PersistentVolume)
        if item.spec.claimRef is not None and item.status.phase == "Bound"
    }
    return {
        claim.metadata.name: claim.spec.volumeName
        for claim in w.list(PersistentVolumeClaim)
        if claim.status.phase == "Bound"
        and claim.spec.volumeName in of_volumes
        and of_volumes[claim.spec.volumeName].uid == claim.metadata.uid
    }


def no_volume_twice(w: World) -> None:
    named = [c.spec.volumeName for c in w.list(PersistentVolumeClaim) if c.spec.volumeName]
    assert not named or max(Counter(named).values()) == 1, named


async def create(w: World) -> None:
    for name, size in (("small", "1Gi"), ("large", "3Gi")):
        await w.client.create(volumes.volume(name, size, storageClassName=name))
    for name, of, size in (("a", "small", "1Gi"), ("b", "large", "2Gi"), ("c", "small", "1Gi")):
        await w.client.create(volumes.claim(name, size, storageClassName=of))


async def clean(w: World) -> None:
    """An administrator has emptied the volume."""
    change = {"spec": {"claimRef": None}}
    await w.client.patch(PersistentVolume, "small", None, change)


def two(w: World) -> bool:
    found = bound(w)
    pending = [c for c in w.list(PersistentVolumeClaim) if c.status.phase == "Pending"]
    return len(found) == 2 and found.get("b") == "large" and len(pending) == 1


def phase(name: str, text: str) -> Any:
    def done(w: World) -> bool:
        found = w.find(PersistentVolume, name, "")
        return found is not None and found.status.phase == text

    return done


def only_one_left(w: World) -> bool:
    return {"b": "large"}.items() <= bound(w).items() and phase("small", "Released")(w)


# One of two claims of the same size gets the small volume: whichever is there first.
async def let_one_go(w: World) -> None:
    (name,) = [claim for claim, volume in bound(w).items() if volume == "small"]
    await w.client.delete(PersistentVolumeClaim, name, "default")


def all_bound(w: World) -> bool:
    found = bound(w)
    return len(found) == len(w.list(PersistentVolumeClaim)) == 2


async def use(w: World) -> None:
    for item in local_path.objects():
        await w.client.create(item)
    await w.client.create(volumes.claim("data", storageClassName=local_path.CLASS))
    await w.client.create(volumes.pod("user", volumes.of_claim("data")))
    await w.until(lambda: w.find(PersistentVolumeClaim, "data") is not None, 3000.0)
    # What a scheduler does.
    change = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "node-0"}}}
    await w.client.patch(PersistentVolumeClaim, "data", "default", change)


async def give_back(w: World) -> None:
    """The claim is deleted while it is used, and the pod after it."""
    await w.client.delete(PersistentVolumeClaim, "data", "default")
    await w.env.clock.sleep(5.0)
    assert w.find(PersistentVolumeClaim, "data") is not None
    await w.client.delete(core.Pod, "user", "default")


def provisioned(w: World) -> bool:
    pod = w.find(core.Pod, "user")
    return "data" in bound(w) and pod is not None and pod.status.phase == "Running"


def removed(w: World) -> bool:
    return not w.list(PersistentVolumeClaim) and not w.list(PersistentVolume)


def used_stays(w: World) -> None:
    """No volume goes while a pod uses its claim."""
    running = [p for p in w.list(core.Pod) if p.status.phase == "Running"]
    if running and w.find(PersistentVolumeClaim, "data") is not None:
        named = w.get(PersistentVolumeClaim, "data").spec.volumeName
        known = not named or w.find(PersistentVolume, named, "") is not None
        # Of two caches one is a moment behind.
        assert known or not w.list(PersistentVolume)


async def attacher(w: World) -> None:
    """The driver's own sidecar: it attaches what it is asked to."""
    while True:
        for item in w.list(VolumeAttachment):
            if not item.status.attached and item.metadata.deletionTimestamp is None:
                live = await w.client.get(VolumeAttachment, item.metadata.name)
                live.status.attached = True
                try:
                    await w.client.update_status(live)
                except errors.ApiError as error:
                    if not (errors.is_conflict(error) or errors.is_not_found(error)):
                        raise
        await w.env.clock.sleep(0.5)


async def run_pod(w: World) -> None:
    w.beside(attacher(w))
    await w.client.create(attach.disk("d"))
    await w.client.create(volumes.claim("c"))
    await w.client.create(volumes.pod("user", volumes.of_claim("c")))


async def end_pod(w: World) -> None:
    await w.client.delete(core.Pod, "user", "default")


def attached(w: World) -> bool:
    node, made = w.find(core.Node, "node-0", ""), w.list(VolumeAttachment)
    names = [item.name for item in node.status.volumesAttached] if node is not None else []
    return len(made) == 1 and made[0].status.attached and len(names) == 1


def detached(w: World) -> bool:
    node = w.find(core.Node, "node-0", "")
    return not w.list(VolumeAttachment) and not node.status.volumesAttached


def to_one_node(w: World) -> None:
    assert len(w.list(VolumeAttachment)) <= 1


CASE = (
    Case(
        name="binder",
        controller="persistentvolume-binder-controller",
        steps=(
            Step(act=create, done=two),
            Step(act=let_one_go, done=only_one_left),
            Step(act=clean, done=all_bound),
        ),
        holds=no_volume_twice,
    ),
    Case(
        name="local-path",
        controller=local_path.ACCOUNT,
        steps=(Step(act=use, done=provisioned), Step(act=give_back, done=removed)),
        holds=used_stays,
        options={"extra": (local_path.definition(Path("/srv"), local_path.NoFiles()),)},
    ),
    Case(
        name="attach-detach",
        controller="persistentvolume-attach-detach-controller",
        steps=(
            Step(act=run_pod, done=attached),
            Step(act=end_pod, done=detached, seconds=600.0),
        ),
        holds=to_one_node,
    ),
)

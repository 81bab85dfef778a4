"""Volumes behind claims that need no driver: local, hostPath and nfs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.kubelet.harness import Node, container, play, pod

from trireme.api.core import v1 as core
from trireme.kubelet.host.contract import Output
from trireme.kubelet.server import stats

SOME_CONTAINER = stats.Container("default", "web", "u", "main", 0, 0, 0, 0, 0, 0, 0)
AT_NODE = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-0"]}
AFFINITY = {"required": {"nodeSelectorTerms": [{"matchExpressions": [AT_NODE]}]}}


async def claimed(node: Node, **source: Any) -> None:
    """A volume that is bound to claim ``data``."""
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    resources = {"requests": {"storage": "1Gi"}}
    claim = {
        "metadata": {"name": "data", "namespace": "default"},
        "spec": {**common, "resources": resources, "volumeName": "pv"},
    }
    made = await node.api.put(msgspec.convert(claim, core.PersistentVolumeClaim))
    reference = {"namespace": "default", "name": "data", "uid": made.metadata.uid}
    spec = {**common, "capacity": {"storage": "1Gi"}, "claimRef": reference, **source}
    volume = {"metadata": {"name": "pv"}, "spec": spec}
    await node.api.put(msgspec.convert(volume, core.PersistentVolume))
    made.status.phase = "Bound"
    await node.api.client.update_status(made)


def user(*, read_only: bool = False, **spec: Any) -> core.Pod:
    claim = core.PersistentVolumeClaimVolumeSource(claimName="data", readOnly=read_only)
    mounts = [core.VolumeMount(name="v", mountPath="/v")]
    volume = core.Volume(name="v", persistentVolumeClaim=claim)
    return pod("web", container("main", volumeMounts=mounts), volumes=[volume], **spec)


def mount(node: Node) -> Any:
    (made,) = node.cri.containers.values()
    return next(m for m in made.config.mounts if m.container_path == "/v")


async def runs(node: Node) -> None:
    await node.until(lambda: node.condition("web", "Ready") == "True", 40)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_local_volume(read_only: bool) -> None:
    async def story(node: Node) -> None:
        await claimed(node, local={"path": "/disks/1"}, nodeAffinity=AFFINITY)
        context = core.PodSecurityContext(fsGroup=42)
        await node.api.put(user(read_only=read_only, securityContext=context))
        await node.until(lambda: node.api.messages("web", "FailedMount"), 10)
        assert node.api.messages("web", "FailedMount")[0] == (
            'MountVolume.SetUp failed for volume "v" : path "/disks/1" does not exist'
        )
        node.host.make_dirs("/disks/1")
        await runs(node)
        uid = node.api.pod("web").metadata.uid
        path = f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~local-volume/pv"
        assert node.host.mounts == {path: "bind /disks/1 bind" + (" ro" if read_only else "")}
        assert (mount(node).host_path, mount(node).readonly) == (path, read_only)
        assert node.host.info(path).gid == (0 if read_only else 42)
        assert node.kubelet is not None
        (usage,) = await node.kubelet.volumes.usages()
        memory = {"MemTotal": 1}
        used = stats.summary("n", [SOME_CONTAINER], memory, node.host.disk, [], 0.0)
        assert used["pods"][0]["volume"] == []
        volume = msgspec.structs.replace(usage, uid="u")
        used = stats.summary("n", [SOME_CONTAINER], memory, node.host.disk, [volume], 0.0)
        (found,) = used["pods"][0]["volume"]
        assert found["pvcRef"] == {"name": "data", "namespace": "default"}
        assert found["capacityBytes"] == node.host.disk.capacity
        text = {f.name: f.samples for f in stats.volume_metrics([usage])}
        (sample,) = text["kubelet_volume_stats_available_bytes"]
        assert sample.labels == {"namespace": "default", "persistentvolumeclaim": "data"}
        assert sample.value == node.host.disk.available
        await node.api.delete_pod("web")
        await node.until(lambda: not node.host.mounts, 40)
        assert node.host.info("/disks/1") is not None

    play(story)


STAGED = "/var/lib/kubelet/plugins/kubernetes.io/local-volume/mounts/pv"


def disk(node: Node, probed: Output, checked: int = 0) -> None:
    """A block device; ``probed`` is blkid's answer until it is formatted, ``checked`` fsck's."""
    node.host.make_dirs("/dev")
    node.host.make_device("/dev/disk")
    node.host.programs = {
        "blkid": lambda *_: probed,
        "mkfs.ext4": lambda *_: Output(0, ""),
        "fsck": lambda *_: Output(checked, "errors"),
    }


EMPTY = Output(2, "")


def test_a_block_device_is_formatted_once_for_all_pods_of_the_node() -> None:
    async def story(node: Node) -> None:
        disk(node, EMPTY)
        await claimed(node, local={"path": "/dev/disk"}, nodeAffinity=AFFINITY)
        second = user()
        second.metadata.name = "second"
        await node.api.put(user())
        await node.api.put(second)
        await runs(node)
        await node.until(lambda: node.condition("second", "Ready") == "True", 40)
        formatted = [words for words in node.host.commands if words[0].startswith("mkfs")]
        assert formatted == [("mkfs.ext4", "-F", "-m0", "/dev/disk")]
        assert node.host.mounts[STAGED] == "ext4 /dev/disk defaults"
        binds = [point for point, what in node.host.mounts.items() if what == f"bind {STAGED} bind"]
        assert len(binds) == 2
        await node.api.delete_pod("web")
        await node.until(lambda: not node.api.has_pod("web"), 40)
        assert node.host.is_mounted(STAGED)
        await node.api.delete_pod("second")
        await node.until(lambda: not node.api.has_pod("second"), 40)
        assert not node.host.mounts_below("/var/lib/kubelet") and node.host.info(STAGED) is None

    play(story)


@pytest.mark.parametrize(
    ("probed", "checked", "read_only", "error"),
    [
        (Output(0, "DEVNAME=/dev/disk\nTYPE=ext4\n"), 1, False, ""),
        (Output(0, "TYPE=ext4\n"), 4, False, "could not correct them"),
        (Output(0, "PTTYPE=gpt\n"), 0, False, ""),
        (Output(1, "no right"), 0, False, "failed to get disk format of disk /dev/disk: no right"),
        (EMPTY, 0, True, "cannot mount unformatted disk /dev/disk"),
    ],
)
def test_what_is_on_a_block_device_is_kept(
    probed: Output, checked: int, read_only: bool, error: str
) -> None:
    async def story(node: Node) -> None:
        disk(node, probed, checked)
        await claimed(node, local={"path": "/dev/disk"}, nodeAffinity=AFFINITY)
        await node.api.put(user(read_only=read_only))
        if error:
            await node.until(lambda: node.api.messages("web", "FailedMount"), 10)
            assert error in node.api.messages("web", "FailedMount")[0]
        else:
            await runs(node)
        assert not [words for words in node.host.commands if words[0].startswith("mkfs")]

    play(story)


@pytest.mark.parametrize("failed", [False, True])
def test_the_file_system_of_a_device_grows_with_its_volume(failed: bool) -> None:
    async def story(node: Node) -> None:
        disk(node, Output(0, "TYPE=ext4\n"))
        node.host.programs["resize2fs"] = lambda *_: Output(1 if failed else 0, "Bad magic")
        await claimed(node, local={"path": "/dev/disk"}, nodeAffinity=AFFINITY)
        claim = await node.api.client.get(core.PersistentVolumeClaim, "data", "default")
        claim.status.capacity = {"storage": "1Gi"}
        await node.api.client.update_status(claim)
        await node.api.put(user())
        await runs(node)
        volume = await node.api.client.get(core.PersistentVolume, "pv")
        volume.spec.capacity = {"storage": "2Gi"}
        await node.api.client.update(volume)
        reason = "VolumeResizeFailed" if failed else "FileSystemResizeSuccessful"
        await node.until(lambda: reason in node.api.reasons("web"), 140)
        assert ("resize2fs", "/dev/disk") in node.host.commands
        claim = await node.api.client.get(core.PersistentVolumeClaim, "data", "default")
        assert claim.status.capacity == {"storage": "1Gi" if failed else "2Gi"}
        if failed:
            assert "resize2fs output: Bad magic" in node.api.messages("web", reason)[0]

    play(story)


def test_an_nfs_volume() -> None:
    async def story(node: Node) -> None:
        nfs = {"server": "fd00::1", "path": "/export"}
        await claimed(node, nfs=nfs, mountOptions=["hard", "nfsvers=4.1"])
        await node.api.put(user())
        await runs(node)
        (found,) = node.host.mounts.values()
        assert found == "nfs [fd00::1]:/export hard nfsvers=4.1"

    play(story)


def test_a_directory_of_the_node() -> None:
    async def story(node: Node) -> None:
        await claimed(node, hostPath={"path": "/srv/data", "type": "DirectoryOrCreate"})
        await node.api.put(user())
        await runs(node)
        assert mount(node).host_path == "/srv/data"
        assert node.host.info("/srv/data").kind == "dir"
        await node.api.delete_pod("web")
        await node.until(lambda: not node.api.has_pod("web"), 40)
        assert node.host.info("/srv/data").kind == "dir"

    play(story)


def test_a_claim_of_another_kind_of_volume_is_refused_by_name() -> None:
    async def story(node: Node) -> None:
        await claimed(node, iscsi={"targetPortal": "p", "iqn": "iqn.2020-01.x:y", "lun": 0})
        await node.api.put(user())
        await node.until(lambda: node.api.messages("web", "FailedMount"), 10)
        assert "no plugin for iscsi volumes" in node.api.messages("web", "FailedMount")[0]

    play(story)


def test_an_ephemeral_claim_must_be_the_pods() -> None:
    async def story(node: Node) -> None:
        await claimed(node, hostPath={"path": "/srv/data"})
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}
        source = {"volumeClaimTemplate": {"spec": spec}}
        volume = core.Volume(
            name="data", ephemeral=msgspec.convert(source, core.EphemeralVolumeSource)
        )
        mounts = [core.VolumeMount(name="data", mountPath="/v")]
        claim = await node.api.client.get(core.PersistentVolumeClaim, "data", "default")
        claim.metadata.name, claim.metadata.uid = "web-data", ""
        claim.metadata.resourceVersion = ""
        made = await node.api.client.create(claim)
        made.status.phase = "Bound"
        await node.api.client.update_status(made)
        await node.api.put(pod("web", container("main", volumeMounts=mounts), volumes=[volume]))
        await node.until(lambda: node.api.messages("web", "FailedMount"), 140)
        text = "PVC default/web-data was not created for pod default/web (pod is not owner)"
        assert text in node.api.messages("web", "FailedMount")[0]

    play(story)


@pytest.mark.parametrize("restart", [True, False])
def test_a_volume_for_one_pod_is_not_mounted_for_a_second(restart: bool) -> None:
    async def story(node: Node) -> None:
        node.host.make_dirs("/disks/1")
        modes = ["ReadWriteOncePod"]
        await claimed(node, local={"path": "/disks/1"}, nodeAffinity=AFFINITY, accessModes=modes)
        await node.api.put(user())
        await runs(node)
        second = user()
        second.metadata.name = "second"
        if restart:
            await node.stop()
        await node.api.put(second)
        if restart:
            await node.start()
        await node.until(lambda: node.api.messages("second", "FailedMount"), 30)
        text = "volume uses the ReadWriteOncePod access mode and is already in use by another pod"
        assert text in node.api.messages("second", "FailedMount")[0]
        await node.api.delete_pod("web")
        await node.until(lambda: node.condition("second", "Ready") == "True", 200)

    play(story)

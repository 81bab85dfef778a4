"""CSI drivers on a node: registered, staged, published, grown and taken down; a restart between."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.kubelet import csi_driver
from tests.kubelet.csi_driver import NAME, Driver
from tests.kubelet.harness import Node, container, play, pod

from trireme.api.core import v1 as core
from trireme.api.storage import v1 as storage
from trireme.domain import volumes
from trireme.kubelet.csi import contract
from trireme.kubelet.csi.contract import CsiError, NodeInfo, Plugin
from trireme.kubelet.volumes.plugin import Amount

HANDLE = "handle-1"
UNIQUE = f"kubernetes.io/csi/{NAME}^{HANDLE}"


async def claimed(node: Node, *, block: bool = False, **source: Any) -> core.PersistentVolume:
    """A volume of the driver that is bound to claim ``data``."""
    mode = "Block" if block else "Filesystem"
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeMode": mode}
    resources = {"requests": {"storage": "1Gi"}}
    of_claim = {
        "metadata": {"name": "data", "namespace": "default"},
        "spec": {**common, "resources": resources, "volumeName": "pv"},
    }
    made = await node.api.put(msgspec.convert(of_claim, core.PersistentVolumeClaim))
    of_volume = {
        "metadata": {"name": "pv"},
        "spec": {
            **common,
            "capacity": {"storage": "1Gi"},
            "claimRef": {"namespace": "default", "name": "data", "uid": made.metadata.uid},
            "csi": {"driver": NAME, "volumeHandle": HANDLE, **source},
        },
    }
    volume: core.PersistentVolume = await node.api.put(
        msgspec.convert(of_volume, core.PersistentVolume)
    )
    made.status.phase, made.status.capacity = "Bound", {"storage": "1Gi"}
    await node.api.client.update_status(made)
    return volume


async def attach(node: Node, volume: core.PersistentVolume) -> None:
    """What the attach/detach controller and the driver's attacher do."""
    name = volumes.attachment_name(volume, "node-0")
    spec = {"attacher": NAME, "nodeName": "node-0", "source": {"persistentVolumeName": "pv"}}
    made = msgspec.convert({"metadata": {"name": name}, "spec": spec}, storage.VolumeAttachment)
    made = await node.api.client.create(made)
    made.status.attached, made.status.attachmentMetadata = True, {"device": "/dev/x"}
    await node.api.client.update_status(made)


async def driver_object(node: Node, **spec: Any) -> None:
    found = {"metadata": {"name": NAME}, "spec": spec}
    await node.api.put(msgspec.convert(found, storage.CSIDriver))


def user(name: str = "web", **spec: Any) -> core.Pod:
    """A pod with claim ``data``."""
    claim = core.PersistentVolumeClaimVolumeSource(claimName="data")
    mounts = [core.VolumeMount(name="v", mountPath="/v")]
    return pod(
        name,
        container("main", volumeMounts=mounts),
        volumes=[core.Volume(name="v", persistentVolumeClaim=claim)],
        **spec,
    )


def in_use(node: Node) -> list[str]:
    found: core.Node = node.api.find(core.Node, "node-0")
    return found.status.volumesInUse


def running(node: Node, name: str = "web") -> bool:
    return bool(node.condition(name, "Ready") == "True")


def test_a_driver_registers_and_goes() -> None:
    driver = Driver()

    async def story(node: Node) -> None:
        path = driver.start(node.host)
        await node.until(lambda: driver.notified == [""], 5)
        found = await node.api.client.get(storage.CSINode, "node-0")
        assert found.metadata.ownerReferences[0].kind == "Node"
        (known,) = found.spec.drivers or ()
        assert (known.name, known.nodeID) == (NAME, "the-node")
        assert known.topologyKeys == ["topology.example.com/rack"]
        assert known.allocatable is not None and known.allocatable.count == 3
        labelled = await node.api.client.get(core.Node, "node-0")
        assert labelled.metadata.labels["topology.example.com/rack"] == "r1"
        ids = labelled.metadata.annotations["csi.volume.kubernetes.io/nodeid"]
        assert json.loads(ids) == {NAME: "the-node"}
        node.host.open_root(csi_driver.REGISTRY).remove(path.rpartition("/")[2])
        await node.env.clock.sleep(3)
        assert not (await node.api.client.get(storage.CSINode, "node-0")).spec.drivers
        left = (await node.api.client.get(core.Node, "node-0")).metadata.annotations
        assert "csi.volume.kubernetes.io/nodeid" not in left

    play(story, sockets=driver)


def test_a_plugin_that_never_answers_holds_up_no_other() -> None:
    driver = Driver()

    async def story(node: Node) -> None:
        driver.hanging.add(driver.start(node.host))
        await node.env.clock.sleep(3)
        driver.start(node.host)
        await node.until(lambda: driver.notified == [""], 5)

    play(story, sockets=driver)


@pytest.mark.parametrize(
    ("plugin", "info", "error"),
    [
        (Plugin("DRAPlugin", "x", "/csi.sock", ("1.0",)), None, "no handler registered"),
        (Plugin("CSIPlugin", NAME, "/csi.sock", ("2.0",)), None, "None of the versions"),
        (Plugin("CSIPlugin", NAME, "/csi.sock", ()), None, "empty list"),
        (None, NodeInfo(""), "driverNodeID must not be empty"),
        (None, NodeInfo("n", 0, {"kubernetes.io/hostname": "other"}), "collision"),
    ],
)
def test_a_plugin_that_is_refused_hears_why(
    plugin: Plugin | None, info: NodeInfo | None, error: str
) -> None:
    driver = Driver(info=info)
    driver.plugin = plugin or driver.plugin

    async def story(node: Node) -> None:
        driver.start(node.host)
        await node.until(lambda: driver.notified, 5)
        assert error in driver.notified[0]
        # Not every second, but again.
        before = len(driver.notified)
        await node.env.clock.sleep(60)
        assert before < len(driver.notified) < 12

    play(story, sockets=driver)


def test_a_volume_is_staged_published_and_taken_down() -> None:
    driver = Driver()

    async def story(node: Node) -> None:
        driver.start(node.host)
        volume = await claimed(node, volumeAttributes={"a": "b"})
        await node.api.put(user())
        # First the node says that it uses the volume, then it waits until it is attached.
        await node.until(lambda: in_use(node) == [UNIQUE], 10)
        await node.env.clock.sleep(5)
        assert driver.names() == [] and not node.api.reasons("web")
        await attach(node, volume)
        await node.until(lambda: running(node), 5)
        assert driver.names() == ["stage", "publish"]
        request = driver.last("stage")["volume"]
        assert request.publish_context == {"device": "/dev/x"} and request.context == {"a": "b"}
        assert request.capability.access_mode == "SINGLE_NODE_WRITER"
        (made,) = node.cri.containers.values()
        uid = node.api.pod("web").metadata.uid
        path = f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~csi/pv/mount"
        assert ("/v", path) in [(m.container_path, m.host_path) for m in made.config.mounts]
        # The claim's use comes from the driver.
        assert node.kubelet is not None
        (usage,) = await node.kubelet.volumes.usages()
        assert (usage.uid, usage.name, usage.claim) == (uid, "v", "data")
        assert usage.bytes == Amount(100, 60, 40) and usage.inodes == Amount(10, 6, 4)
        # A second pod of the node: published again, staged as it is.
        await node.api.put(user("two"))
        await node.until(lambda: running(node, "two"), 5)
        await node.api.delete_pod("web")
        await node.until(lambda: not node.api.has_pod("web"), 40)
        assert len(driver.published) == 1 and driver.staged and in_use(node) == [UNIQUE]
        await node.api.delete_pod("two")
        await node.until(lambda: not in_use(node), 40)
        assert not driver.published and not driver.staged and driver.names()[-1] == "unstage"
        assert node.host.list("/var/lib/kubelet/pods") == []
        assert node.host.list(f"/var/lib/kubelet/plugins/kubernetes.io/csi/{NAME}") == []

    play(story, sockets=driver)


def test_a_restarted_kubelet_takes_down_what_another_mounted() -> None:
    driver = Driver()

    async def story(node: Node) -> None:
        driver.start(node.host)
        volume = await claimed(node)
        await node.api.put(user())
        await node.until(lambda: in_use(node) == [UNIQUE], 10)
        await attach(node, volume)
        await node.until(lambda: running(node), 5)
        await node.stop()
        await node.api.delete_pod("web", grace=0)
        await node.env.clock.sleep(1)
        await node.start()
        # The driver answers before the kubelet has found it again: nothing is forgotten.
        await node.until(lambda: not driver.staged, 60)
        assert driver.names()[-2:] == ["unpublish", "unstage"]
        await node.until(lambda: not in_use(node), 15)
        assert node.host.list("/var/lib/kubelet/pods") == []

    play(story, sockets=driver)


def test_an_error_of_the_driver_is_the_pods_event_and_is_retried() -> None:
    driver = Driver()
    driver.errors["publish"] = CsiError("INTERNAL", "the disk is on fire")

    async def story(node: Node) -> None:
        await driver_object(node, attachRequired=False)
        driver.start(node.host)
        await claimed(node)
        await node.api.put(user())
        await node.until(lambda: running(node), 15)
        (message,) = node.api.messages("web", "FailedMount")
        assert message == (
            'MountVolume.SetUp failed for volume "v" : rpc error: code = Internal desc = the disk '
            "is on fire"
        )
        # Without an attacher the volume is not among those in use.
        assert in_use(node) == []

    play(story, sockets=driver)


def test_a_claim_that_is_not_bound_is_waited_for() -> None:
    async def story(node: Node) -> None:
        await node.api.put(user())
        await node.until(lambda: "FailedMount" in node.api.reasons("web"), 140)
        (message,) = node.api.messages("web", "FailedMount")
        assert "error processing PVC default/data: failed to fetch PVC from API server" in message
        driver.start(node.host)
        await driver_object(node, attachRequired=False)
        await claimed(node)
        await node.until(lambda: running(node), 5)

    driver = Driver()
    play(story, sockets=driver)


def test_what_the_driver_wants_to_know() -> None:
    driver = Driver(contract.STAGE_UNSTAGE, contract.MULTI_WRITER, contract.MOUNT_GROUP)

    async def story(node: Node) -> None:
        await node.api.put(
            msgspec.convert(
                {
                    "metadata": {"name": "key", "namespace": "default"},
                    "data": {"user": "YWxpY2U="},
                },
                core.Secret,
                strict=False,
            )
        )
        account = core.ServiceAccount()
        account.metadata.name, account.metadata.namespace = "default", "default"
        await node.api.put(account)
        await driver_object(
            node,
            attachRequired=False,
            podInfoOnMount=True,
            requiresRepublish=True,
            tokenRequests=[{"audience": "vault"}],
        )
        driver.start(node.host)
        await claimed(node, nodeStageSecretRef={"name": "key", "namespace": "default"})
        context = core.PodSecurityContext(fsGroup=42)
        await node.api.put(user(securityContext=context))
        await node.until(lambda: running(node), 5)
        assert driver.last("stage")["volume"].secrets == {"user": "alice"}
        assert driver.last("stage")["volume"].capability.group == "42"
        request = driver.last("publish")["volume"]
        assert request.capability.access_mode == "SINGLE_NODE_MULTI_WRITER"
        assert request.context["csi.storage.k8s.io/pod.name"] == "web"
        assert request.context["csi.storage.k8s.io/ephemeral"] == "false"
        tokens = json.loads(request.context["csi.storage.k8s.io/serviceAccount.tokens"])
        assert tokens["vault"]["token"].count(".") == 2
        # It is published again while the pod runs, and staged once.
        await node.env.clock.sleep(200)
        assert driver.names().count("stage") == 1 and driver.names().count("publish") >= 2

    play(story, sockets=driver)


def test_a_volume_in_the_pod_itself() -> None:
    driver = Driver()
    source = core.CSIVolumeSource(driver=NAME, volumeAttributes={"size": "1"}, readOnly=True)
    inline = pod(
        "web",
        container("main", volumeMounts=[core.VolumeMount(name="v", mountPath="/v")]),
        volumes=[core.Volume(name="v", csi=source)],
    )

    async def story(node: Node) -> None:
        driver.start(node.host)
        await driver_object(node, volumeLifecycleModes=["Persistent"])
        await node.api.put(inline)
        await node.until(lambda: "FailedMount" in node.api.reasons("web"), 5)
        assert '(only supports ["Persistent"])' in node.api.messages("web", "FailedMount")[0]
        await node.api.client.delete(storage.CSIDriver, NAME)
        await driver_object(node, volumeLifecycleModes=["Ephemeral"])
        await node.until(lambda: running(node), 60)
        assert driver.names() == ["publish"]
        assert driver.last("publish")["read_only"]
        assert driver.last("publish")["volume"].id.startswith("csi-")
        await node.api.delete_pod("web")
        await node.until(lambda: not node.api.has_pod("web"), 40)
        assert not driver.published and driver.names()[-1] == "unpublish"

    play(story, sockets=driver)


@pytest.mark.parametrize("inline", [True, False])
def test_the_group_of_files_is_set_after_a_restart_too(inline: bool) -> None:
    """A kubelet may have ended after the driver published, and before the group was set."""
    driver = Driver()
    source = core.CSIVolumeSource(driver=NAME)
    context = core.PodSecurityContext(fsGroup=42)
    web = user(securityContext=context)
    if inline:
        web.spec.volumes = [core.Volume(name="v", csi=source)]

    async def story(node: Node) -> None:
        driver.start(node.host)
        await driver_object(
            node,
            attachRequired=False,
            fsGroupPolicy="File",
            volumeLifecycleModes=["Persistent", "Ephemeral"],
        )
        await claimed(node)
        await node.api.put(web)
        await node.until(lambda: running(node), 10)
        (target,) = driver.published

        def group() -> int:
            with node.host.open_root(target) as root:
                return root.info("").gid

        assert group() == 42
        await node.stop()
        with node.host.open_root(target) as root:
            root.chown("", -1, 0)
        await node.start()
        await node.until(lambda: group() == 42, 60)

    play(story, sockets=driver)


def test_a_block_device() -> None:
    driver = Driver()
    claim = core.PersistentVolumeClaimVolumeSource(claimName="data")
    device = core.VolumeDevice(name="v", devicePath="/dev/disk")
    raw = pod(
        "web",
        container("main", volumeDevices=[device]),
        volumes=[core.Volume(name="v", persistentVolumeClaim=claim)],
    )

    async def story(node: Node) -> None:
        driver.start(node.host)
        await driver_object(node, attachRequired=False)
        await claimed(node, block=True)
        await node.api.put(raw)
        await node.until(lambda: running(node), 10)
        assert driver.last("stage")["volume"].capability.block
        (made,) = node.cri.containers.values()
        (passed,) = made.config.devices
        assert (passed.container_path, passed.permissions) == ("/dev/disk", "mrw")
        assert passed.host_path == driver.last("publish")["target"]
        await node.api.delete_pod("web")
        await node.until(lambda: not driver.staged, 40)
        await node.until(lambda: not node.host.list("/var/lib/kubelet/pods"), 10)
        assert not driver.published

    play(story, sockets=driver)


async def grown(node: Node, size: str, *, recovery: bool) -> None:
    """What the driver's resizer does after the claim asked for more."""
    volume = await node.api.client.get(core.PersistentVolume, "pv")
    volume.spec.capacity = {"storage": size}
    await node.api.client.update(volume)
    claim = await node.api.client.get(core.PersistentVolumeClaim, "data", "default")
    if recovery:
        claim.status.allocatedResources = {"storage": size}
        claim.status.allocatedResourceStatuses = {"storage": "NodeResizePending"}
    pending = core.PersistentVolumeClaimCondition(type="FileSystemResizePending", status="True")
    claim.status.conditions = [pending]
    await node.api.client.update_status(claim)


@pytest.mark.parametrize("recovery", [True, False])
def test_a_volume_that_grew(recovery: bool) -> None:
    driver = Driver()

    async def story(node: Node) -> None:
        driver.start(node.host)
        await driver_object(node, attachRequired=False)
        await claimed(node)
        await node.api.put(user())
        await node.until(lambda: running(node), 10)
        await grown(node, "2Gi", recovery=recovery)
        driver.errors["expand"] = CsiError("INTERNAL", "later")
        await node.until(lambda: "VolumeResizeFailed" in node.api.reasons("web"), 200)
        claim = await node.api.client.get(core.PersistentVolumeClaim, "data", "default")
        assert "NodeResizeError" in {c.type for c in claim.status.conditions}
        await node.until(lambda: "FileSystemResizeSuccessful" in node.api.reasons("data"), 200)
        assert driver.last("expand")["size"] == 2 << 30
        claim = await node.api.client.get(core.PersistentVolumeClaim, "data", "default")
        assert claim.status.capacity == {"storage": "2Gi"}
        assert not claim.status.conditions and not claim.status.allocatedResourceStatuses

    play(story, sockets=driver)


def test_a_size_that_fails_and_is_no_longer_asked_for_is_given_up() -> None:
    """A second final error is infeasible then, so that the resizer chooses a size anew."""
    driver = Driver()

    async def story(node: Node) -> None:
        driver.start(node.host)
        await driver_object(node, attachRequired=False)
        await claimed(node)
        await node.api.put(user())
        await node.until(lambda: running(node), 10)
        await grown(node, "9Gi", recovery=True)
        steps = []
        for _ in range(2):
            driver.errors["expand"] = CsiError("INTERNAL", "no")
            await node.until(lambda: "expand" not in driver.errors, 200)
            await node.env.clock.sleep(1)
            claim = await node.api.client.get(core.PersistentVolumeClaim, "data", "default")
            steps.append(claim.status.allocatedResourceStatuses["storage"])
        assert steps == ["NodeResizeInProgress", "NodeResizeInfeasible"]

    play(story, sockets=driver)

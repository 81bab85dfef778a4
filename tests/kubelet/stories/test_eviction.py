"""Pressure on the node: conditions, what is reclaimed, who is evicted."""

from __future__ import annotations

import msgspec
import pytest
from tests.kubelet.harness import Node, container, play, pod

from trireme.api.core import v1 as core
from trireme.kubelet.config import EvictionConfig
from trireme.testing.fake_cri import Behaviour

MIB = 1 << 20


def set_memory(node: Node, free: int) -> None:
    node.host.make_dirs("/proc")
    text = f"MemTotal: {8 << 20} kB\nMemFree: {free >> 10} kB\nInactive(file): 0 kB\n"
    node.host.write("/proc/meminfo", text.encode())


def set_disk(node: Node, available: int) -> None:
    node.host.disk = msgspec.structs.replace(node.host.disk, available=available)


def node_condition(node: Node, kind: str) -> str:
    conditions = node.api.find(core.Node, "node-0").status.conditions
    return next(c.status for c in conditions if c.type == kind)


async def run(node: Node, *pods: core.Pod) -> None:
    for each in pods:
        await node.api.put(each)
        await node.until(lambda name=each.metadata.name: node.phase(name) == "Running", 5)


def requesting(memory: str) -> core.Container:
    return container("main", resources=core.ResourceRequirements(requests={"memory": memory}))


def test_the_pod_beyond_its_request_is_evicted_when_memory_is_short() -> None:
    async def story(node: Node) -> None:
        set_memory(node, 4 << 30)
        await run(node, pod("within", requesting("500Mi")), pod("beyond", requesting("100Mi")))
        node.cri.usage = {
            ("within", "main"): (400 * MIB, 0),
            ("beyond", "main"): (300 * MIB, 0),
        }
        set_memory(node, 50 * MIB)
        await node.until(lambda: node.phase("beyond") == "Failed", 15)
        # Freed: so the other stays.
        set_memory(node, 4 << 30)
        status = node.api.pod("beyond").status
        assert status.reason == "Evicted"
        assert status.message == (
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
            "Container main was using 300Mi, request is 100Mi, has larger consumption of memory. "
        )
        (target,) = [c for c in status.conditions if c.type == "DisruptionTarget"]
        assert (target.status, target.reason) == ("True", "TerminationByKubelet")
        await node.until(lambda: node_condition(node, "MemoryPressure") == "True", 5)
        await node.until(lambda: "Evicted" in node.api.reasons("beyond"), 5)
        (event,) = [e for e in node.api.events("beyond") if e.reason == "Evicted"]
        assert event.metadata.annotations["starved_resource"] == "memory"
        assert "EvictionThresholdMet" in node.api.reasons("node-0")
        # The condition stays for five minutes more; until then no best-effort pod is admitted.
        await node.env.clock.sleep(120)
        assert node.phase("within") == "Running"
        await node.api.put(pod("late"))
        await node.until(lambda: node.phase("late") == "Failed", 5)
        assert node.api.pod("late").status.message == (
            "Pod was rejected: The node had condition: [MemoryPressure]. "
        )
        await node.until(lambda: node_condition(node, "MemoryPressure") == "False", 250)

    play(story)


def test_one_pod_goes_at_a_time_and_no_critical_one() -> None:
    async def story(node: Node) -> None:
        set_memory(node, 4 << 30)
        await run(
            node,
            pod("one"),
            pod("two"),
            pod("critical", priorityClassName="system-cluster-critical"),
        )
        set_memory(node, 1 * MIB)
        await node.until(lambda: "Failed" in (node.phase("one"), node.phase("two")), 15)
        assert {node.phase("one"), node.phase("two")} == {"Failed", "Running"}
        await node.until(lambda: node.phase("one") == node.phase("two") == "Failed", 60)
        await node.env.clock.sleep(60)
        assert node.phase("critical") == "Running"

    play(story)


def test_dead_containers_and_unused_images_go_before_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(node: Node) -> None:
        node.cri.set_behaviour("done", "main", Behaviour(run_seconds=1))
        node.cri.add_image("unused")
        await run(node, pod("stays"))
        await node.api.put(pod("done", restartPolicy="Never"))
        await node.until(lambda: node.phase("done") == "Succeeded", 10)
        await node.env.clock.sleep(450)  # seen for longer than two minutes
        remove = node.cri.remove_image

        async def remove_and_free(image: str) -> None:
            await remove(image)
            set_disk(node, 80 << 30)

        monkeypatch.setattr(node.cri, "remove_image", remove_and_free)
        set_disk(node, 12 << 30)  # below the 15 % of imagefs, above the 10 % of nodefs
        await node.until(lambda: node_condition(node, "DiskPressure") == "True", 15)
        await node.env.clock.sleep(60)
        assert node.phase("stays") == "Running"
        assert await node.cri.image_status("unused:latest") is None
        assert await node.cri.image_status("web:latest") is not None  # in use
        assert all(c.sandbox.config.metadata.name != "done" for c in node.cri.containers.values())

    play(story)


def test_a_soft_threshold_gives_the_pod_time() -> None:
    async def story(node: Node) -> None:
        set_memory(node, 4 << 30)
        await run(node, pod("slow"))
        began = node.env.clock.monotonic()
        set_memory(node, 150 * MIB)
        await node.until(lambda: "Killing" in node.api.reasons("slow"), 120)
        assert 30 <= node.env.clock.monotonic() - began <= 42
        await node.until(lambda: node.phase("slow") == "Failed", 30)

    config = EvictionConfig(
        soft={"memory.available": "200Mi"},
        soft_grace={"memory.available": "30s"},
        max_pod_grace_seconds=5,
    )
    play(story, eviction=config)


@pytest.mark.parametrize("of", ["volume", "layer"])
def test_a_pod_beyond_its_own_limit_of_storage_is_evicted(of: str) -> None:
    async def story(node: Node) -> None:
        mount = core.VolumeMount(name="v", mountPath="/v")
        limits = core.ResourceRequirements(limits={"ephemeral-storage": "1Mi"})
        source = core.EmptyDirVolumeSource(sizeLimit="1Ki" if of == "volume" else None)
        made = pod(
            "greedy",
            container("main", volumeMounts=[mount], resources=limits),
            volumes=[core.Volume(name="v", emptyDir=source)],
        )
        await run(node, made)
        await node.env.clock.sleep(30)
        assert node.phase("greedy") == "Running"
        if of == "volume":
            uid = node.api.pod("greedy").metadata.uid
            path = f"/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/v/file"
            node.host.write(path, b"x" * 2000)
            message = 'Usage of EmptyDir volume "v" exceeds the limit "1Ki". '
        else:
            node.cri.usage["greedy", "main"] = (0, 2 * MIB)
            message = (
                "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "
            )
        await node.until(lambda: node.phase("greedy") == "Failed", 15)
        status = node.api.pod("greedy").status
        assert (status.reason, status.message) == ("Evicted", message)
        # Its own doing: no disruption for the node's sake.
        assert all(c.type != "DisruptionTarget" for c in status.conditions)

    play(story)

"""Eviction with real containers, files and memory."""

from __future__ import annotations

import os

import msgspec
import pytest

from tests.interop.real_node import RealNode, shell
from tests.kubelet.harness import pod
from trireme.api.core import v1 as core
from trireme.kubelet.config import EvictionConfig

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]
MOUNTS = [core.VolumeMount(name="v", mountPath="/v")]
FILL = "dd if=/dev/zero of=%s bs=1M count=4 2>/dev/null; exec sleep 1000"


async def test_pods_beyond_their_limits_of_storage_go(node: RealNode) -> None:
    volume = core.Volume(name="v", emptyDir=core.EmptyDirVolumeSource(sizeLimit="1Mi"))
    limits = core.ResourceRequirements(limits={"ephemeral-storage": "2Mi"})
    # As deep as the shell gets: hundreds of directories of 4 kB, and a file below them.
    deep = "cd /v; i=0; while [ $i -lt 600 ]; do mkdir 0123456789; cd 0123456789; i=$((i+1)); done"
    await node.api.put(
        pod("volume", shell(FILL % "/v/file", volumeMounts=MOUNTS), volumes=[volume])
    )
    await node.api.put(pod("layer", shell(FILL % "/file", resources=limits)))
    await node.api.put(
        pod("logs", shell("yes 0123456789 | head -c 4000000; sleep 1000", resources=limits))
    )
    large = core.Volume(name="v", emptyDir=core.EmptyDirVolumeSource(sizeLimit="4Mi"))
    for name, script in (
        ("deep", f"{deep}; head -c 4000000 /dev/zero > f; sleep 1000"),
        # A link out of the volume counts as a link.
        ("within", "ln -s / /v/out; head -c 2000000 /dev/zero > /v/f; sleep 1000"),
    ):
        await node.api.put(pod(name, shell(script, volumeMounts=MOUNTS), volumes=[large]))
    for name in ("volume", "layer", "logs", "deep"):
        await node.until(lambda name=name: node.phase(name) == "Failed", 40)
        assert node.api.pod(name).status.reason == "Evicted"
    for name, size in (("volume", "1Mi"), ("deep", "4Mi")):
        assert node.api.pod(name).status.message == (
            f'Usage of EmptyDir volume "v" exceeds the limit "{size}". '
        )
    assert node.phase("within") == "Running"


async def test_the_pod_that_uses_most_memory_goes_when_it_is_short(node: RealNode) -> None:
    hog = "a=x; while [ ${#a} -lt 30000000 ]; do a=$a$a; done; sleep 1000"
    await node.api.put(pod("small", shell("sleep 1000")))
    await node.api.put(pod("hog", shell(hog)))
    for name in ("small", "hog"):
        await node.until(lambda name=name: node.phase(name) == "Running")
    await node.stop()
    node.config = msgspec.structs.replace(
        node.config, eviction=EvictionConfig(hard={"memory.available": "99%"})
    )
    await node.start()
    await node.until(lambda: node.phase("hog") == "Failed", 30)
    status = node.api.pod("hog").status
    assert status.message.startswith("The node was low on resource: memory. Threshold quantity: ")
    assert "Container main was using " in status.message
    assert [c.status for c in status.conditions if c.type == "DisruptionTarget"] == ["True"]
    found = node.api.find(core.Node, "node-0").status.conditions
    assert [c.status for c in found if c.type == "MemoryPressure"] == ["True"]


async def test_signals_of_a_real_node(node: RealNode) -> None:
    assert node.kubelet is not None
    await node.until(lambda: node.kubelet.eviction.pressures() == ())
    group = node.cgroups.memory(node.config.cgroup_parent)
    assert group is not None and 0 <= group.working_set < group.limit
    await node.api.put(pod("one", shell("sleep 1000 & sleep 1000 & wait")))
    await node.until(lambda: node.phase("one") == "Running")
    uid = node.api.pod("one").metadata.uid
    assert node.cgroups.processes(f"{node.config.cgroup_parent}/besteffort/pod{uid}") >= 3

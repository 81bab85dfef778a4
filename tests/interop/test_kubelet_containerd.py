"""A kubelet with real containers: one node of a local cluster, its runtime, its cgroups."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from trireme.api.core import v1 as core
from trireme.cluster.hosts import local, teardown
from trireme.cluster.images import build, load, recipes
from trireme.kit.clock import RealClock
from trireme.kit.env import Env
from trireme.kubelet.cgroups import apply
from trireme.kubelet.component import Kubelet, Parts
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri.client import GrpcRuntime
from trireme.kubelet.host.real import RealHost
from trireme.kubelet.node import machine
from trireme.kubelet.probes.sockets import SocketTransport

sys.path.insert(0, str(Path(__file__).parent.parent / "kubelet"))

from harness import Api, Recorder, container, pod

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]
IMAGE = "docker.io/library/busybox:stable"


class RealNode:
    """A kubelet in this process, its pods on a node of ``hosts``."""

    def __init__(self, node: local.Node, folder: Path) -> None:
        self.env = Env(clock=RealClock(), rng=random.Random(1), log=logging.getLogger("kubelet"))
        self.api = Api(self.env)
        self.recorder = Recorder()
        self.runtime = GrpcRuntime(node.containerd_socket)
        self.transport = SocketTransport()
        self.host = RealHost()
        self.cgroups = apply.detect(self.env.clock)
        self.config = KubeletConfig(
            node_name="node-0", node_ips=(node.ip,), root_dir=str(folder / "kubelet"),
            logs_dir=str(folder / "pods"), cgroup_parent=node.cgroup_parent,
            cluster_dns=("10.96.0.10",))
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        ready = asyncio.Event()

        async def live() -> None:
            parts = Parts(
                client=self.api, pods=self.api.informer(core.Pod),
                services=self.api.informer(core.Service), recorder=self.recorder,
                runtime=self.runtime, transport=self.transport, host=self.host,
                cgroups=self.cgroups, machine=machine.read(self.host))
            async with asyncio.TaskGroup() as group:
                self.kubelet = Kubelet(self.config, self.env, parts, group)
                await self.kubelet.start()
                ready.set()

        self._task = asyncio.create_task(live())
        await asyncio.wait({self._task, asyncio.ensure_future(ready.wait())},
                           return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        if self._task is not None:
            self.api.informers.clear()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        await self.stop()
        await self.transport.close()
        await self.runtime.close()

    async def until(self, holds: Callable[[], Any], seconds: float = 20) -> Any:
        async with asyncio.timeout(seconds):
            while not (found := holds()):
                assert self._task is not None
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.02)
        return found

    def phase(self, name: str) -> str:
        return self.api.pod(name).status.phase

    def ready(self, name: str) -> bool:
        return any(c.type == "Ready" and c.status == "True"
                   for c in self.api.pod(name).status.conditions)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[RealNode]:
    hosts = local.LocalHosts("t-kubelet", 1)
    await asyncio.to_thread(teardown.teardown, hosts.name)
    try:
        await hosts.start()
        await load.load_built(build.build(recipes.bundled()),
                              [n.containerd_socket for n in hosts.nodes])
        node = RealNode(hosts.nodes[0], tmp_path)
        try:
            await node.start()
            yield node
            for known in [o for o in node.api.objects.values() if isinstance(o, core.Pod)]:
                node.api.delete_pod(known.metadata.name, grace=1)
            await node.until(lambda: not node.kubelet.workers.pods())
        finally:
            await node.close()
    finally:
        await hosts.stop()


def shell(script: str, **fields: Any) -> core.Container:
    return container("main", image=IMAGE, command=["sh", "-c", script], **fields)


async def test_a_pod_with_config_probe_and_limits(node: RealNode) -> None:
    conf = core.ConfigMap(data={"index.html": "hello"})
    conf.metadata.name, conf.metadata.namespace = "page", "default"
    node.api.put(conf)
    probe = core.Probe(httpGet=core.HTTPGetAction(path="/index.html", port="http", scheme="HTTP"),
                       timeoutSeconds=1, periodSeconds=1, successThreshold=1, failureThreshold=3)
    main = shell(
        "exec httpd -f -p 8080 -h /www", readinessProbe=probe,
        ports=[core.ContainerPort(name="http", containerPort=8080)],
        resources=core.ResourceRequirements(requests={"cpu": "100m", "memory": "16Mi"},
                                            limits={"cpu": "500m", "memory": "32Mi"}),
        volumeMounts=[core.VolumeMount(name="page", mountPath="/www")])
    began = time.monotonic()
    made = node.api.put(pod("web", main, volumes=[core.Volume(
        name="page", configMap=core.ConfigMapVolumeSource(name="page"))]))
    await node.until(lambda: node.phase("web") == "Running")
    print(f"running after {(time.monotonic() - began) * 1000:.0f} ms")
    await node.until(lambda: node.ready("web"))
    print(f"ready after {(time.monotonic() - began) * 1000:.0f} ms")
    status = node.api.pod("web").status
    assert status.podIP.startswith("10.")
    assert status.containerStatuses[0].containerID.startswith("containerd://")
    group = f"{node.config.cgroup_parent}/burstable/pod{made.metadata.uid}"
    assert node.cgroups.exists(group)
    if not node.cgroups.v2:
        limit = node.host.read(f"/sys/fs/cgroup/memory{group}/memory.limit_in_bytes")
        assert int(limit) == 32 << 20
    result = await node.runtime.exec_sync(
        status.containerStatuses[0].containerID.removeprefix("containerd://"),
        ["sh", "-c", "cat /etc/hosts /etc/resolv.conf; hostname; cat /www/index.html"], 5)
    text = result.stdout.decode()
    assert f"{status.podIP}\tweb" in text
    assert "nameserver 10.96.0.10" in text
    assert "search default.svc.cluster.local svc.cluster.local cluster.local" in text
    assert text.endswith("web\nhello")
    began = time.monotonic()
    node.api.delete_pod("web", grace=5)
    await node.until(lambda: not node.api.has_pod("web"))
    print(f"gone after {(time.monotonic() - began) * 1000:.0f} ms")
    await node.until(lambda: not node.cgroups.exists(group))
    await node.until(lambda: not node.kubelet.workers.pods())
    assert node.host.list(f"{node.config.root_dir}/pods") == []
    assert node.host.list(node.config.logs_dir) == []


async def test_crash_message_logs_and_restart(node: RealNode) -> None:
    node.api.put(pod("web", shell(
        "echo out; echo err >&2; echo -n why > /dev/termination-log; exit 3")))
    await node.until(lambda: _waiting(node, "web") == "CrashLoopBackOff")
    status = node.api.pod("web").status.containerStatuses[0]
    ended = status.lastState.terminated
    assert (ended.exitCode, ended.reason, ended.message) == (3, "Error", "why")
    assert status.restartCount == 1


async def test_a_new_kubelet_adopts(node: RealNode) -> None:
    node.api.put(pod("web", shell("exec sleep 1000")))
    await node.until(lambda: node.ready("web"))
    before = node.api.pod("web").status
    await node.stop()
    await node.start()
    await asyncio.sleep(1.5)
    assert node.api.pod("web").status == before


async def test_secret_tmpfs_subpath_users_and_tokens(node: RealNode) -> None:
    secret = core.Secret(data={"key": b"shh", "other": b"x"})
    secret.metadata.name, secret.metadata.namespace = "s", "default"
    node.api.put(secret)
    main = shell(
        "id; ls -lnL /s /sub /run/token; cat /s/key /sub; touch /scratch/a && ls -lnd /scratch/a; "
        "exec sleep 1000",
        securityContext=core.SecurityContext(runAsUser=1234),
        volumeMounts=[
            core.VolumeMount(name="s", mountPath="/s"),
            core.VolumeMount(name="s", mountPath="/sub", subPath="key"),
            core.VolumeMount(name="t", mountPath="/run/token"),
            core.VolumeMount(name="scratch", mountPath="/scratch")])
    made = node.api.put(pod(
        "web", main, securityContext=core.PodSecurityContext(fsGroup=4321), volumes=[
            core.Volume(name="s", secret=core.SecretVolumeSource(secretName="s", defaultMode=256)),
            core.Volume(name="scratch", emptyDir=core.EmptyDirVolumeSource(medium="Memory")),
            core.Volume(name="t", projected=core.ProjectedVolumeSource(sources=[
                core.VolumeProjection(serviceAccountToken=core.ServiceAccountTokenProjection(
                    path="token", expirationSeconds=600))]))]))
    await node.until(lambda: node.ready("web"))
    await asyncio.sleep(0.3)
    text = node.host.read(
        f"{node.config.logs_dir}/default_web_{made.metadata.uid}/main/0.log").decode()
    assert "uid=1234 gid=0(root) groups=0(root),4321" in text
    assert "-r--r-----    1 0        4321             3" in text
    assert "-rw-r-----    1 1234     4321" in text or "-rw-rw----    1 1234     4321" in text
    assert text.count("shh") == 2
    assert len(node.host.mounts_below(f"{node.config.root_dir}/pods/{made.metadata.uid}")) == 4
    node.api.delete_pod("web", grace=1)
    await node.until(lambda: not node.api.has_pod("web"))
    assert not node.host.mounts_below(node.config.root_dir)


def _waiting(node: RealNode, name: str) -> str:
    statuses = node.api.pod(name).status.containerStatuses
    state = statuses[0].state.waiting if statuses else None
    return state.reason if state is not None else ""

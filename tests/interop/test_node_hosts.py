"""Real nodes: containers on two of them, the network between them, restarts, neighbours."""

import asyncio
import gzip
import io
import json
import os
import signal
import tarfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from trireme.cluster.hosts import containerd, local, network, spawn, teardown
from trireme.cluster.hosts import plan as plans
from trireme.cluster.images import build, load, recipes
from trireme.testing.pods_on_hosts import PodRunner

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="nodes are made by root"),
]

# A web server whose answer is its name and the address that it sees its caller under.
SERVER = """
mkdir -p /www/cgi-bin
printf '#!/bin/sh\\necho; echo $(hostname) ${REMOTE_ADDR#[::ffff:}\\n' > /www/cgi-bin/who
chmod +x /www/cgi-bin/who
exec httpd -f -p 80 -h /www
"""


@pytest.fixture
async def hosts():
    made = local.LocalHosts("t-hosts", 2)
    await asyncio.to_thread(teardown.teardown, made.name)
    yield made
    await made.stop()


async def with_images(hosts: local.LocalHosts) -> None:
    archive = build.build(recipes.bundled())
    await load.load_built(archive, [node.containerd_socket for node in hosts.nodes])


class Stages:
    """Prints how long each stage took, in milliseconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def done(self, stage: str) -> float:
        took = time.monotonic() - self._last
        print(f"{stage}: {took * 1000:.0f} ms")
        self._last = time.monotonic()
        return took


async def test_pods_of_two_nodes_reach_each_other_untranslated(hosts):
    stages = Stages()
    await hosts.start()
    stages.done("two nodes with containerd")
    await with_images(hosts)
    stages.done("two images into two nodes")
    first, second = hosts.nodes
    async with PodRunner(first) as here, PodRunner(second) as there:
        await here.run("warm", SERVER)
        stages.done("first pod")
        client = await here.run("client", SERVER)
        stages.done("second pod")
        beside, across = await asyncio.gather(
            here.run("beside", SERVER), there.run("across", SERVER)
        )
        stages.done("two more")
        for server, name in ((beside, "beside"), (across, "across"), (client, "client")):
            who = f"timeout 2 wget -qO- http://{server.ip}/cgi-bin/who"
            assert await here.shell(client, who) == (0, f"{name} {client.ip}]")
        assert await there.shell(across, f"ping -c 1 -W 2 {client.ip} >/dev/null") == (0, "")
        for address in (hosts.host_ip, first.ip, second.ip):
            ping = f"ping -c 1 -W 2 {address} >/dev/null"
            assert await here.shell(client, ping) == (0, ""), address
        url = f"http://{across.ip}/cgi-bin/who"
        answer = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=2).read())
        assert answer.decode().strip() == f"across {hosts.host_ip}]"
        began = time.monotonic()
        code, said = await here.shell(client, "timeout 3 wget -qO- http://203.0.113.1/")
        assert code != 0 and "no route to host" in said.lower()
        # Not at the end of a time-out of minutes; a second attempt of TCP's may be needed.
        assert time.monotonic() - began < 2
    stages.done("requests")
    await hosts.stop()
    assert stages.done("down") < 3


async def test_a_node_has_address_space_for_one_container_alone(hosts):
    """Each node's addresses come from its own range, and the cgroups from its own tree."""
    await hosts.start()
    await with_images(hosts)
    for node in hosts.nodes:
        async with PodRunner(node) as runner:
            pod = await runner.run("one", "exec sleep 1000")
            assert pod.ip.startswith(node.pod_cidr.rpartition(".")[0])
            _, groups = await runner.shell(pod, "cat /proc/self/cgroup")
            assert f"{node.cgroup_parent}/pod-one/" in groups


async def test_names_are_looked_up_at_the_pods_server(hosts):
    """The static busybox asks the name server of resolv.conf without a library to load."""
    await hosts.start()
    await with_images(hosts)
    async with PodRunner(hosts.nodes[0]) as runner:
        pod = await runner.run("dns", "exec sleep 1000", servers=[hosts.host_ip])
        server = await _NameServer.start(hosts.host_ip)
        try:
            code, said = await runner.shell(pod, "timeout 2 wget -qO- http://api.hello.test./")
        finally:
            server.close()
        assert b"\3api\5hello\4test" in server.asked, (code, said)


async def test_a_docker_archive_can_be_started(hosts, tmp_path):
    """As `docker save | gzip` writes it: no digests, names in the short form."""
    await hosts.start()
    await with_images(hosts)
    spec = recipes.busybox_image()
    data = build.build([structs.replace(spec, names=("saved:1",))])
    path = tmp_path / "saved.tar.gz"
    await asyncio.to_thread(path.write_bytes, gzip.compress(as_docker_saves(data, "saved:1"), 1))
    sockets = [node.containerd_socket for node in hosts.nodes]
    assert await load.load(path, sockets) == ["docker.io/library/saved:1"]
    for node in hosts.nodes:
        async with PodRunner(node) as runner:
            pod = await runner.run("saved", "exec sleep 1000", image="saved:1")
            assert await runner.shell(pod, "echo works") == (0, "works")


def as_docker_saves(data: bytes, tag: str) -> bytes:
    """An OCI archive of one image in Docker's older form."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar}

    def blob(descriptor: dict) -> bytes:
        return files["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]

    manifest = json.loads(blob(json.loads(files["index.json"])["manifests"][0]))
    saved = {
        "manifest.json": json.dumps(
            [{"Config": "config.json", "RepoTags": [tag], "Layers": ["one/layer.tar"]}]
        ).encode(),
        "config.json": blob(manifest["config"]),
        "one/layer.tar": blob(manifest["layers"][0]),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in saved.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


async def test_a_second_start_changes_nothing_and_a_killed_runtime_comes_back(hosts):
    await hosts.start()
    await with_images(hosts)
    before = hosts.running()
    await hosts.start()
    assert hosts.running() == before
    node = hosts.nodes[0]
    async with PodRunner(node) as runner:
        pod = await runner.run("stays", "exec sleep 1000")
        os.kill(before[0].pid, signal.SIGKILL)
        again = local.attach(hosts.name)
        assert again is not None
        await again.start()
        assert [process.name for process in again.running()] == [one.name for one in before]
        assert again.running()[0].pid != before[0].pid
        assert again.running()[1] == before[1]
        assert await runner.shell(pod, "echo still here") == (0, "still here")


async def test_two_clusters_beside_each_other(hosts):
    other = local.LocalHosts("t-hosts-2", 1)
    await asyncio.to_thread(teardown.teardown, other.name)
    await hosts.start()
    try:
        await other.start()
        assert set(await asyncio.to_thread(teardown.clusters)) >= {"t-hosts", "t-hosts-2"}
        mine = {hosts.plan().underlay, hosts.plan().pod_network}
        assert not mine & {other.plan().underlay, other.plan().pod_network}
    finally:
        await other.stop()
    assert len(hosts.running()) == 2
    version = await load.images(hosts.nodes[0].containerd_socket)
    assert version == []


async def test_a_daemon_runs_in_the_nodes_network_and_cgroup(hosts):
    await hosts.start()
    node = hosts.nodes[1]
    looker = node.spawn(["sh", "-c", "ip -o -4 addr; cat /proc/self/cgroup"], "looker")
    await asyncio.to_thread(os.waitpid, looker.pid, 0)
    text = await asyncio.to_thread(Path(node.log_dir, "looker.log").read_text)
    assert f" {node.ip}/24 " in text
    assert f"0::/trireme-t-hosts/{node.name}/runtime" in text
    assert not spawn.alive(looker)

    daemon = node.spawn(["sh", "-c", "trap '' TERM; while true; do sleep 1; done"], "daemon")
    assert spawn.alive(daemon)
    assert daemon in hosts.running()
    await spawn.stop(daemon, grace=0.05, folder=hosts.records)
    assert not spawn.alive(daemon)
    assert daemon.name not in [one.name for one in spawn.records(hosts.records)]


async def test_a_missing_program_is_named(hosts):
    await hosts.start_network()
    with pytest.raises(spawn.SpawnFailed, match="no program 'no-such-program'"):
        hosts.nodes[0].spawn(["no-such-program"], "x")


async def test_a_containerd_that_cannot_start_says_why(hosts, monkeypatch):
    monkeypatch.setattr(
        "trireme.cluster.hosts.render.containerd", lambda node, facts: "version = 2\nroot = 5\n"
    )
    with pytest.raises(containerd.NotReady, match=r"containerd.node-\d ended: .*convert 5"):
        await hosts.start()


async def test_another_number_of_nodes_is_refused(hosts):
    await hosts.start_network()
    with pytest.raises(ValueError, match="has 2 nodes, not 3"):
        local.LocalHosts(hosts.name, 3).plan()


async def test_the_network_can_be_completed(hosts):
    """A namespace's name without the namespace, as a maker leaves it that is killed between."""
    await hosts.start_network()
    path = Path(hosts.nodes[1].netns_path)
    await asyncio.to_thread(network.remove_netns, path)
    await asyncio.to_thread(path.touch)
    await hosts.start()
    assert len(hosts.running()) == 2


def test_networks_in_use_are_seen():
    assert "127.0.0.0/8" in network.taken()
    assert plans.make("t-hosts", 1, taken=network.taken())


class _NameServer(asyncio.DatagramProtocol):
    """Remembers what was asked and answers nothing."""

    def __init__(self) -> None:
        self.asked = b""
        self.close: Callable[[], None]

    @classmethod
    async def start(cls, address: str) -> "_NameServer":
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(cls, local_addr=(address, 53))
        server.close = transport.close
        return server

    def datagram_received(self, data: bytes, sender: object) -> None:
        self.asked += data

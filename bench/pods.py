"""Many pods at once: ``python bench/pods.py [--upstream DIR] [--pods N] [--write]``, as root.

One-container pods, shared out over nodes of this machine, from their creation to all Ready, and
from their deletion to none left; starts that failed on the way; what a runtime holds afterwards.
With ``--upstream`` the same with upstream's kubelet in the place of ours: on nodes with the same
containerd, against our API server, with the certificate of one of our nodes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import results
import subjects
from results import Row

from trireme.api.core.v1.event import Event
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.client import kubeconfig
from trireme.client.client import Client
from trireme.cluster.hosts import local, names, teardown
from trireme.cluster.images import build, load, recipes
from trireme.kit.clock import RealClock
from trireme.machinery import errors
from trireme.machinery.meta import ObjectMeta

NAME = "bench-pods"
TRIREME = (sys.executable, "-m", "trireme.cluster.main")
PATIENCE = 600.0
CGROUPS = Path("/sys/fs/cgroup")
# It ends when it is asked to: what is measured is the kubelet, not the wait for a deaf process.
SCRIPT = "trap 'exit 0' TERM; sleep 100000 & wait"


@dataclass(frozen=True)
class Times:
    """Seconds; ``failed`` starts as the events count them; ``left`` containers and sandboxes."""

    ready: float
    gone: float
    failed: int
    left: int


_PRINTED: tuple[tuple[str, str, Callable[[Times], float]], ...] = (
    ("all Ready", "s", lambda times: times.ready),
    ("all deleted", "s", lambda times: times.gone),
    ("failed starts", "", lambda times: times.failed),
    ("left in the runtime", "", lambda times: times.left),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--upstream", type=Path, help="folder of upstream's kubelet")
    parser.add_argument("--pods", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the rows into RESULTS.md")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    subjects.compiled()
    ours = _measured(options.pods, options.nodes, None)
    theirs = _measured(options.pods, options.nodes, options.upstream) if options.upstream else None
    what = f"{options.pods} pods on {options.nodes} nodes"
    rows = [
        Row(f"{what}: {name}", unit, of(ours), None, None if theirs is None else of(theirs))
        for name, unit, of in _PRINTED
    ]
    results.show(rows, busy, write=options.write)


def _measured(pods: int, nodes: int, upstream: Path | None) -> Times:
    teardown.teardown(NAME)
    hosts = local.LocalHosts(NAME, nodes)
    try:
        asyncio.run(hosts.start())
        sockets = [node.containerd_socket for node in hosts.nodes]
        asyncio.run(load.load_built(build.build(recipes.bundled()), sockets))
        with ExitStack() as stack:
            state = Path(hosts.plan().state_dir, "alone")
            admin = stack.enter_context(_api_server(hosts, state))
            for node in hosts.nodes:
                stack.enter_context(_kubelet(node, state, upstream))
            return asyncio.run(_run(admin, hosts, pods))
    finally:
        asyncio.run(hosts.stop())
        _remove_groups()


@contextmanager
def _process(words: list[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    with log.open("w") as errors_:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors_, text=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def _api_server(hosts: local.LocalHosts, state: Path) -> Iterator[Path]:
    state.mkdir(parents=True)
    joining = [word for node in hosts.nodes for word in ("--node", f"{node.name}={node.ip}")]
    words = [*TRIREME, "apiserver", "--listen", hosts.host_ip, "--state-dir", str(state)]
    words += ["--port", str(subjects.free_port())]
    with _process([*words, *joining, "--datastore", "memory"], state / "apiserver.log") as process:
        assert process.stdout is not None
        yield Path(process.stdout.readline().strip())


@contextmanager
def _kubelet(node: local.Node, state: Path, upstream: Path | None) -> Iterator[None]:
    within = ["nsenter", f"--net={node.netns_path}", "--"]
    words = _theirs(node, state, upstream) if upstream else _ours(node, state)
    with _process([*within, *words], state / f"kubelet.{node.name}.log"):
        yield


def _ours(node: local.Node, state: Path) -> list[str]:
    return [
        *TRIREME,
        "kubelet",
        *("--kubeconfig", str(state / f"kubelet.{node.name}.kubeconfig")),
        *("--node-name", node.name, "--node-ip", node.ip),
        *("--runtime", f"unix://{node.containerd_socket}"),
        *("--root-dir", f"{node.state_dir}/kubelet"),
        *("--logs-dir", f"{node.state_dir}/pods"),
        *("--cgroup-parent", node.cgroup_parent),
    ]


def _theirs(node: local.Node, state: Path, upstream: Path) -> list[str]:
    """Upstream's defaults but for what this machine asks for (cgroup v1, no systemd, no swap off),
    and for the places of files."""
    group = names.cgroup(NAME, node.name, "upstream")
    for hierarchy in CGROUPS.iterdir():
        _make_group(hierarchy, group)
    config = state / f"kubelet.{node.name}.json"
    config.write_text(
        json.dumps(
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
                "cgroupDriver": "cgroupfs",
                "cgroupRoot": group,
                "failCgroupV1": False,
                "failSwapOn": False,
                "podLogsDir": f"{node.state_dir}/pods",
                "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": False}},
                "authorization": {"mode": "AlwaysAllow"},
                "maxPods": 250,
                "evictionHard": {"memory.available": "1Mi", "nodefs.available": "0%"},
            }
        )
    )
    return [
        str(upstream / "kubelet"),
        *("--config", str(config)),
        *("--kubeconfig", str(state / f"kubelet.{node.name}.kubeconfig")),
        *("--hostname-override", node.name, "--node-ip", node.ip),
        *("--root-dir", f"{node.state_dir}/kubelet"),
        *("--cert-dir", f"{node.state_dir}/kubelet-pki"),
    ]


def _make_group(hierarchy: Path, group: str) -> None:
    """Upstream asks for its cgroup in every hierarchy; a cpuset is empty until it is filled."""
    folder = hierarchy
    for name in group.strip("/").split("/"):
        folder, parent = folder / name, folder
        folder.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if (folder / setting).exists() and not (folder / setting).read_text().strip():
                (folder / setting).write_text((parent / setting).read_text())


def _remove_groups() -> None:
    """In the hierarchies that are not ours, too."""
    for top in CGROUPS.glob(f"*{names.cgroup(NAME)}"):
        for folder, _, _ in os.walk(top, topdown=False):
            os.rmdir(folder)


@asynccontextmanager
async def _client(path: Path) -> AsyncIterator[Client]:
    transport = kubeconfig.connect(kubeconfig.load(path), RealClock())
    try:
        yield Client(transport, user_agent="bench")
    finally:
        await transport.close()


async def _run(admin: Path, hosts: local.LocalHosts, count: int) -> Times:
    async with _client(admin) as client:
        await _until(lambda: _nodes_ready(client, len(hosts.nodes)))
        # Nobody runs controllers here.
        account = ServiceAccount(metadata=ObjectMeta(name="default", namespace="default"))
        await client.create(account)
        began = time.monotonic()
        for number in range(count):
            await client.create(_pod(number, hosts.nodes[number % len(hosts.nodes)].name))
        await _until(lambda: _all_ready(client, count))
        ready = time.monotonic() - began
        began = time.monotonic()
        await client.delete_collection(Pod, "default")
        await _until(lambda: _none(client))
        gone = time.monotonic() - began
        # A runtime may be about to remove what it has stopped.
        await asyncio.sleep(5)
        return Times(ready, gone, await _failed(client), _left(hosts))


def _pod(number: int, node: str) -> Pod:
    manifest = {
        "metadata": {"name": f"p{number}", "namespace": "default"},
        "spec": {
            "nodeName": node,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "c",
                    "image": "busybox:stable",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sh", "-c", SCRIPT],
                }
            ],
        },
    }
    return msgspec.convert(manifest, Pod)


async def _until(holds) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + PATIENCE
    while True:
        try:
            if await holds():
                return
        except (errors.ApiError, OSError):
            pass
        assert time.monotonic() < end, f"not within {PATIENCE} s"
        await asyncio.sleep(0.1)


async def _nodes_ready(client: Client, count: int) -> bool:
    listed = await client.list(Node)
    return sum(map(_is_ready, listed.items)) == count


async def _all_ready(client: Client, count: int) -> bool:
    listed = await client.list(Pod, "default")
    return sum(map(_is_ready, listed.items)) == count


async def _none(client: Client) -> bool:
    return not (await client.list(Pod, "default")).items


def _is_ready(obj: Node | Pod) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in obj.status.conditions)


async def _failed(client: Client) -> int:
    events = (await client.list(Event, "default")).items
    return sum(
        event.count or 1
        for event in events
        if event.type == "Warning" and event.reason.startswith(("Failed", "BackOff"))
    )


def _left(hosts: local.LocalHosts) -> int:
    """Containers that a runtime knows, and shims that run."""
    found = 0
    for node in hosts.nodes:
        words = ["ctr", "-a", node.containerd_socket, "-n", "k8s.io", "containers", "ls", "-q"]
        found += len(subprocess.run(words, capture_output=True, check=True).stdout.split())
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            argv = path.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        run_dir = hosts.plan().run_dir.encode()
        found += b"containerd-shim" in argv[0] and any(run_dir in word for word in argv)
    return found


if __name__ == "__main__":
    main()

"""One containerd for each node: configuration, start, readiness, end.

In: a `NodePlan`.  Out: a runtime that answers CRI v1 on the node's socket, inside the node's
network namespace, with root, state, runc and CNI folders of its own.  Called by `local`.

A start upon leftovers is safe.  What lasts (images, containers' records) is kept; sockets and
configuration are written anew; containerd itself sorts out tasks whose shims are gone.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from trireme.cluster.hosts import cgroups, render, spawn
from trireme.cluster.hosts.plan import NodePlan
from trireme.cluster.hosts.render import RuntimeFacts
from trireme.cluster.hosts.spawn import Running
from trireme.cluster.user_error import UserError

CNI_BIN_DIRS = ("/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
_CAP_SYS_RESOURCE = 24
_POLL = 0.005
_CALL_TIMEOUT = 2.0


class NotReady(UserError):
    """containerd ended or did not answer in time; the message carries the end of its log."""


def probe(state_dir: str) -> RuntimeFacts:
    """Learns what the configuration depends on.  Blocks some milliseconds; needs root.

    Raises FileNotFoundError if the standard CNI plugins are not installed.
    """
    bin_dir = cni_bin_dir()
    if bin_dir is None:
        raise FileNotFoundError(
            f"none of {', '.join(CNI_BIN_DIRS)} holds the CNI plugins {', '.join(CNI_PLUGINS)}"
        )
    Path(state_dir).mkdir(parents=True, exist_ok=True)
    return RuntimeFacts(
        cni_bin_dir=bin_dir,
        snapshotter="overlayfs" if _overlay_works(state_dir) else "native",
        restrict_oom_score_adj=not _may_lower_oom_score(Path("/proc/self/status").read_text()),
    )


def cni_bin_dir() -> str | None:
    """The first folder that holds all the plugins that a node's network list names."""
    for folder in CNI_BIN_DIRS:
        if all(os.access(f"{folder}/{plugin}", os.X_OK) for plugin in CNI_PLUGINS):
            return folder
    return None


def start(node: NodePlan, facts: RuntimeFacts, layout: cgroups.Layout, *, records: str) -> Running:
    """Writes the configuration and starts containerd.  Blocks a few milliseconds."""
    for folder in (node.state_dir, node.run_dir, node.log_dir, f"{node.state_dir}/registries"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    Path(render.cni_conf_dir(node)).mkdir(exist_ok=True)
    Path(render.cni_conf_dir(node), "10-trireme.conflist").write_text(render.cni(node))
    config = Path(node.state_dir, "containerd.toml")
    config.write_text(render.containerd(node, facts))
    for path in (node.containerd_socket, f"{node.containerd_socket}.ttrpc"):
        Path(path).unlink(missing_ok=True)
    group = f"{node.cgroup}/runtime"
    cgroups.create(layout, group)
    return spawn.start(
        spawn.Spawn(
            name=f"containerd.{node.name}",
            argv=("containerd", "--config", str(config)),
            log=f"{node.log_dir}/containerd.log",
            records=records,
            netns_path=node.netns_path,
            cgroup_procs=tuple(cgroups.entries(layout, group)),
        )
    )


async def ready(node: NodePlan, process: Running, *, timeout: float) -> None:
    """Returns once the node's CRI answers.

    A socket that accepts is not enough: containerd listens while CRI still takes stock of what an
    earlier containerd left, and refuses calls until then.
    Raises NotReady after `timeout` seconds or when the process has ended.
    """
    # Only here: the supervisor has no event loop, and is to be small.
    import asyncio

    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        # gRPC, told to connect before there is a socket, would wait a second to try again.
        answer = await _cri_status(node.containerd_socket) if _listens(node) else "no socket"
        if not answer:
            return
        if not spawn.alive(process):
            raise NotReady(f"{process.name} ended: {_tail(process.log)}")
        if loop.time() > deadline:
            raise NotReady(
                f"{process.name} not ready in {timeout} s ({answer}): {_tail(process.log)}"
            )
        await asyncio.sleep(_POLL)


async def _cri_status(path: str) -> str:
    """Empty if CRI answers, or why it does not.  What it answers is the kubelet's concern."""
    # Only here: the supervisor starts runtimes before it needs gRPC.
    import grpc

    options = [("grpc.default_authority", "localhost")]
    async with grpc.aio.insecure_channel(f"unix://{path}", options=options) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/runtime.v1.RuntimeService/Status"
        )
        try:
            await call(b"", timeout=_CALL_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            return error.details() or error.code().name
    return ""


def _listens(node: NodePlan) -> bool:
    """Whether the socket is there and somebody accepts on it."""
    with socket.socket(socket.AF_UNIX) as trial:
        return trial.connect_ex(node.containerd_socket) == 0


def _tail(log: str) -> str:
    lines = Path(log).read_text(errors="replace").splitlines()
    return " | ".join(lines[-5:]) or "(empty log)"


def _may_lower_oom_score(status: str) -> bool:
    """Whether /proc/self/status shows the right that the kernel asks for (CAP_SYS_RESOURCE)."""
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)


def _overlay_works(state_dir: str) -> bool:
    """Tries it: file systems that refuse (an overlay below, NFS) are not told by their names."""
    base = tempfile.mkdtemp(prefix="overlay-probe-", dir=state_dir)
    for name in ("lower", "upper", "work", "merged"):
        Path(base, name).mkdir()
    options = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
    try:
        mount = ["mount", "-t", "overlay", "overlay", "-o", options, f"{base}/merged"]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            return False
        subprocess.run(["umount", f"{base}/merged"], check=True, capture_output=True)
        return True
    finally:
        shutil.rmtree(base)

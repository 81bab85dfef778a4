"""Removes everything of a cluster from this host, by its mark alone.

In: a cluster's name.  Out: nothing left.  Needs no record and trusts none: it works after `kill -9`
of everything during a start, and with the state folder gone.  Called by `LocalHosts.stop` and
`trireme down`, from a thread.

The runtime is not asked to stop its containers one by one.  Order: the processes first, since they
hold all the rest; then mounts; then what mounts and processes held.  Folders go last, and only
once no mount is left below them: through a mount a removal would reach the user's own files.
"""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import msgspec

from trireme.cluster.hosts import cgroups, names, network, outside, spawn
from trireme.cluster.hosts.plan import HostsPlan, NodePlan, Places
from trireme.cluster.user_error import UserError

CNI_CACHE = Path("/var/lib/cni")
SHIM_SOCKETS = Path("/run/containerd/s")
_SHIM = re.compile(r"containerd-shim")
_ATTEMPTS = 200
_PAUSE = 0.01


class StillThere(UserError):
    """Something could not be removed; the message names it.  Repeating may help."""


class Removed(msgspec.Struct, frozen=True):
    """What a teardown found and removed."""

    processes: int
    mounts: int
    namespaces: int


def teardown(cluster: str, places: Places = Places()) -> Removed:
    """Removes the cluster's processes, network, cgroups, mounts and files.  Blocks.

    Nothing there is fine and takes some milliseconds.  Raises StillThere, cgroups.NoCgroups.
    """
    names.cluster(cluster)
    run_dir, state_dir = Path(places.run, cluster), Path(places.state, cluster)
    layout = cgroups.probe()
    namespaces = network.netns_paths(run_dir)
    sockets = _shim_sockets(run_dir)
    processes = _kill(cluster, layout, run_dir, namespaces)
    network.remove(cluster, run_dir)
    mounts = _unmount([f"{run_dir}/", f"{state_dir}/"])
    _remove_tables(cluster)
    outside.close(run_dir)
    cgroups.remove(layout, names.cgroup(cluster))
    _remove_cni_cache(cluster, run_dir)
    for socket in sockets:
        socket.unlink(missing_ok=True)
    for folder in (run_dir, state_dir):
        _remove_folder(folder)
    for parent in (
        SHIM_SOCKETS,
        SHIM_SOCKETS.parent,
        CNI_CACHE / "results",
        CNI_CACHE,
        run_dir.parent,
        state_dir.parent,
    ):
        # Gone only if nobody else keeps anything there.
        with contextlib.suppress(OSError):
            parent.rmdir()
    return Removed(processes=processes, mounts=mounts, namespaces=len(namespaces))


def teardown_node(plan: HostsPlan, node: NodePlan) -> None:
    """Removes one node, whose processes nobody restarts any more; ``plan`` has the others. Blocks.

    May be repeated. Raises StillThere, cgroups.NoCgroups.
    """
    layout = cgroups.probe()
    folders = [Path(node.run_dir), Path(node.state_dir), Path(node.log_dir)]
    sockets = _shim_sockets(Path(plan.run_dir), node.name)
    cgroups.kill(layout, node.cgroup)
    network.remove_node(plan, node)
    _unmount([f"{folder}/" for folder in folders])
    cgroups.remove(layout, node.cgroup)
    _remove_cni_cache(plan.cluster, Path(node.run_dir), re.escape(node.name))
    for socket in sockets:
        socket.unlink(missing_ok=True)
    for folder in folders:
        _remove_folder(folder)


def clusters(places: Places = Places()) -> list[str]:
    """The names of all clusters of which something is on this host, even if only a link."""
    found = {
        alias.removeprefix(f"{names.MARK}:")
        for _, alias in network.links()
        if alias.startswith(f"{names.MARK}:")
    }
    found.update(
        group.removeprefix(f"/{names.MARK}-")
        for group in cgroups.groups(cgroups.probe())
        if group.startswith(f"/{names.MARK}-")
    )
    for folder in (places.state, places.run):
        with contextlib.suppress(FileNotFoundError):
            found.update(os.listdir(folder))
    return sorted(name for name in found if name)


def _kill(cluster: str, layout: cgroups.Layout, run_dir: Path, namespaces: list[Path]) -> int:
    """Kills by cgroup, then by namespace and by record, and returns when all have ended."""
    group = names.cgroup(cluster)
    killed = cgroups.pids(layout, group)
    cgroups.kill(layout, group)
    for pid in killed:
        # Children of this very process would stay zombies; others have their own parents.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    strays = _in_namespaces(namespaces)
    # A record that cannot be read is no loss: its process was in the cgroup.
    with contextlib.suppress(msgspec.MsgspecError):
        records = spawn.records(f"{run_dir}/processes")
        strays.update(process.pid for process in records if spawn.alive(process))
    for pid in strays:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait_for_end(strays)
    return len(killed | strays)


def _wait_for_end(pids: set[int]) -> None:
    left = pids
    for _ in range(_ATTEMPTS):
        left = {pid for pid in left if not spawn.ended(pid)}
        if not left:
            return
        time.sleep(_PAUSE)
    raise StillThere(f"processes {sorted(left)} do not end after SIGKILL")


def _in_namespaces(namespaces: list[Path]) -> set[int]:
    """Processes in the nodes' network namespaces that were in no cgroup of the cluster."""
    identities = {_identity(path) for path in namespaces}
    found = set()
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        # Processes come and go while we look; into some, never ours, even root may not look.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if _identity(Path(f"/proc/{pid}/ns/net")) in identities:
                found.add(pid)
    return found - {os.getpid()}


def _identity(namespace: Path) -> tuple[int, int]:
    """Device and inode; with the inode alone an ordinary file could pass for a namespace."""
    status = namespace.stat()
    return status.st_dev, status.st_ino


def _shim_sockets(run_dir: Path, node: str = "node-*") -> set[Path]:
    """The shims' sockets, which containerd puts beside those of all other containerds.

    From what each task's folder says, and, where that is gone, as containerd computes them.
    """
    found: set[Path] = set()
    for address in run_dir.glob(f"{node}/containerd/io.containerd.runtime.v2.task/*/*/address"):
        with contextlib.suppress(FileNotFoundError):
            found.add(Path(address.read_text().strip().removeprefix("unix://")))
    for argv in _command_lines():
        if not argv or not _SHIM.search(argv[0]):
            continue
        options = dict(zip(argv[1::2], argv[2::2], strict=False))
        containerd = options.get("-address", "")
        if Path(containerd).match(f"{run_dir}/{node}/*"):
            key = f"{containerd}/{options.get('-namespace')}/{options.get('-id')}"
            found.add(SHIM_SOCKETS / hashlib.sha256(key.encode()).hexdigest())
    return {socket for socket in found if socket.parent == SHIM_SOCKETS}


def _command_lines() -> list[list[str]]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.append(path.read_text(errors="replace").rstrip("\0").split("\0"))
    return found


def _unmount(prefixes: list[str]) -> int:
    targets = mounts_below(prefixes)
    # Innermost first; lazily, since a killed process may hold its mount for another moment.
    for _ in range(3):
        left = mounts_below(prefixes)
        if not left:
            return len(targets)
        subprocess.run(
            ["umount", "--lazy", "--no-canonicalize", *reversed(left)],
            check=False,
            capture_output=True,
        )
    raise StillThere(f"mounts that do not come off: {', '.join(mounts_below(prefixes))}")


def mounts_below(prefixes: list[str]) -> list[str]:
    """Mount points under any of the folders, in the order in which they were mounted."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        target = line.split(" ")[4].encode().decode("unicode_escape")
        if any(target.startswith(prefix) or f"{target}/" == prefix for prefix in prefixes):
            found.append(target)
    return found


def _remove_tables(cluster: str) -> None:
    """Removes nftables tables of the host; those within nodes went with the namespaces."""
    if shutil.which("nft") is None:
        return
    listed = subprocess.run(["nft", "list", "tables"], check=False, capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        _, family, name = line.split(" ", 2)
        if name == names.mark(cluster):
            subprocess.run(["nft", "delete", "table", family, name], check=True)


def _remove_cni_cache(cluster: str, run_dir: Path, node: str = r"node-\d+") -> None:
    """Removes results that the CNI library keeps, in a folder that cannot be configured.

    The loopback's are named after no network of ours, but hold the path of the pod's namespace.
    """
    for path in (CNI_CACHE / "results").glob("*"):
        network_name = re.match(rf"(.+-{node})-[0-9a-f]{{64}}-", path.name)
        ours = network_name is not None and names.is_cni_network(cluster, network_name[1])
        if path.name.startswith("cni-loopback-"):
            ours = f'"{run_dir}/' in path.read_text(errors="replace")
        if ours:
            path.unlink(missing_ok=True)


def _remove_folder(folder: Path) -> None:
    below = mounts_below([f"{folder}/"])
    if below:
        raise StillThere(f"{folder} is kept, there are mounts in it: {', '.join(below)}")
    if folder.exists():
        shutil.rmtree(folder)

"""The state of a host before and after, for tests of "leaves no trace".

In: nothing but the host.  Out: `snapshot()`, a value, and `diff(before, after)`, one line for each
thing that came or went.  Called by the tests that take clusters up and down.

It covers the whole host, not only what carries Trireme's mark, so that things with a wrong name are
found.  Needs root, and a host on which nothing else is set up at the same time; `ignoring` leaves
other clusters of Trireme out, for tests that run concurrently.
"""

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

_FOLDERS = (
    "/etc/cni",
    "/opt/cni",
    "/opt/containerd",
    "/run/cni",
    "/run/containerd",
    "/run/netns",
    "/run/runc",
    "/run/trireme",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/trireme",
    "/var/log/containers",
    "/var/log/pods",
    "/var/log/trireme",
)
# Their processes are Trireme's wherever they run.
_PROGRAMS = ("containerd", "containerd-shim", "runc", "trireme", "pause")
_CGROUP_ROOT = "/sys/fs/cgroup"


class HostState(msgspec.Struct, frozen=True):
    """Each part is a sorted tuple of lines, comparable as they stand."""

    namespaces: tuple[str, ...]
    links: tuple[str, ...]
    routes: tuple[str, ...]
    tables: tuple[str, ...]
    cgroups: tuple[str, ...]
    mounts: tuple[str, ...]
    processes: tuple[str, ...]
    files: tuple[str, ...]
    sysctls: tuple[str, ...]


def snapshot(ignoring: Sequence[str] = ()) -> HostState:
    """The host as it is now.  Lines that contain a word of `ignoring` are left out.  Blocks."""
    parts: dict[str, Callable[[], list[str]]] = {
        "namespaces": lambda: _lines("lsns", "--type", "net", "--noheadings", "--output", "NS"),
        "links": lambda: _lines("ip", "-oneline", "link", cut=" mtu "),
        "routes": lambda: _lines("ip", "route", "show", "table", "all"),
        "tables": lambda: _lines("nft", "list", "tables"),
        "cgroups": _cgroups,
        "mounts": _mounts,
        "processes": _processes,
        "files": _files,
        "sysctls": _sysctls,
    }
    return HostState(
        **{
            part: tuple(
                sorted(line for line in look() if not any(word in line for word in ignoring))
            )
            for part, look in parts.items()
        }
    )


def diff(before: HostState, after: HostState) -> list[str]:
    """`+ mounts: /run/...` for what came, `- ...` for what went; empty if nothing changed."""
    lines = []
    for part in HostState.__struct_fields__:
        was, now = set(getattr(before, part)), set(getattr(after, part))
        lines += [f"+ {part}: {line}" for line in sorted(now - was)]
        lines += [f"- {part}: {line}" for line in sorted(was - now)]
    return lines


def _lines(*argv: str, cut: str = "\n") -> list[str]:
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return [line.partition(cut)[0].strip() for line in done.stdout.splitlines()]


def _cgroups() -> list[str]:
    return [folder for folder, _, _ in os.walk(_CGROUP_ROOT)]


def _mounts() -> list[str]:
    """Mount point and kind; the numbers in mountinfo change by themselves."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, filesystem = line.partition(" - ")
        found.append(f"{fields.split(' ')[4]} {filesystem.split(' ')[0]}")
    return found


def _processes() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            argv = (entry / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        program = os.path.basename(argv[0].decode(errors="replace"))
        if program.startswith(_PROGRAMS):
            found.append(f"{entry.name} {b' '.join(argv).decode(errors='replace').strip()}")
    return found


def _files() -> list[str]:
    found = []
    for top in _FOLDERS:
        if os.path.lexists(top):
            found.append(top)
        for folder, folders, files in os.walk(top):
            found += [f"{folder}/{name}" for name in (*folders, *files)]
    return found


def _sysctls() -> list[str]:
    """Those of the host's own network that a cluster could be tempted to change."""
    names = ("ipv4/ip_forward", "ipv4/conf/all/rp_filter", "ipv6/conf/all/forwarding")
    paths = [Path("/proc/sys/net", name) for name in names]
    return [f"{path} {path.read_text().strip()}" for path in paths if path.exists()]

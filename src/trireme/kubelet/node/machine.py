"""Facts about the machine.

In: /proc, /sys, /etc. Out: ``Machine``, ``meminfo``. Called by node/agent. An in-process node gets
a ``Machine`` made by hand.
"""

from __future__ import annotations

import os
import platform

import msgspec

from trireme.kubelet.host.contract import Host

ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while the machine runs. ``memory`` and ``swap`` in bytes."""

    cpus: int = 4
    memory: int = 8 << 30
    swap: int = 0
    hugepages: dict[str, int] = {}  # page size ("2Mi") to bytes
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    kernel_version: str = ""
    os_image: str = ""
    architecture: str = "amd64"


def read(host: Host) -> Machine:
    memory = meminfo(host)
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory=memory.get("MemTotal", 0),
        swap=memory.get("SwapTotal", 0),
        hugepages=_hugepages(host),
        machine_id=_text(host, "/etc/machine-id"),
        system_uuid=_text(host, "/sys/class/dmi/id/product_uuid") or _text(host, "/etc/machine-id"),
        boot_id=_text(host, "/proc/sys/kernel/random/boot_id"),
        kernel_version=platform.release(),
        os_image=_os_image(host),
        architecture=ARCHITECTURES.get(platform.machine(), platform.machine()),
    )


def meminfo(host: Host) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    found = {}
    for line in _text(host, "/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words:
            found[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return found


def processes(host: Host) -> tuple[int, int] | None:
    """How many processes and threads run, and how many may; None where /proc does not say."""
    most = [_text(host, f"/proc/sys/kernel/{name}") for name in ("pid_max", "threads-max")]
    words = _text(host, "/proc/loadavg").split()
    if len(words) < 4 or not all(text.isdigit() for text in most):
        return None
    return int(words[3].partition("/")[2]), min(int(text) for text in most)


def _hugepages(host: Host) -> dict[str, int]:
    base = "/sys/kernel/mm/hugepages"
    found = {}
    for name in host.list(base):
        size = int(name.removeprefix("hugepages-").removesuffix("kB")) * 1024
        count = int(_text(host, f"{base}/{name}/nr_hugepages") or 0)
        label = f"{size >> 30}Gi" if size >= 1 << 30 else f"{size >> 20}Mi"
        found[label] = size * count
    return found


def _os_image(host: Host) -> str:
    for line in _text(host, "/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def _text(host: Host, path: str) -> str:
    try:
        return host.read(path).decode("utf-8", "replace").strip()
    except OSError:
        return ""

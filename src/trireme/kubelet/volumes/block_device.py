"""File systems on block devices: formatted where there is none, checked, mounted, grown.

In: a device of the node and a directory. Out: the file system, mounted there. Called by the plugin
``local``. Upstream: k8s.io/mount-utils, SafeFormatAndMount. A device with a partition table is
never formatted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from trireme.kubelet.host.contract import Host, Output
from trireme.kubelet.volumes.plugin import VolumeError

DEFAULT_FS = "ext4"
PARTITIONS = "unknown data, probably partitions"
_FORMAT_OPTIONS = {"ext3": ("-F", "-m0"), "ext4": ("-F", "-m0"), "xfs": ("-f",)}
# blkid: neither of the two was found. fsck: errors were left.
_NOT_FOUND, _UNCORRECTED = 2, 4
_is_fs = re.compile(r"[a-z0-9]+").fullmatch


async def mount(
    host: Host, device: str, path: str, fs_type: str, options: Sequence[str], *, may_format: bool
) -> None:
    """Mount ``device`` at ``path``, for reading and writing. Raises VolumeError, OSError."""
    fs_type = fs_type or DEFAULT_FS
    if not _is_fs(fs_type):
        raise VolumeError(f'"{fs_type}" is no file system')
    if await _existing(host, device):
        await _check(host, device)
    elif not may_format:
        raise VolumeError(
            f"cannot mount unformatted disk {device} as we are manipulating it in read-only mode"
        )
    else:
        await _format(host, device, path, fs_type)
    await host.mount(device, path, fs_type, [*options, "defaults"])


async def grow(host: Host, device: str, path: str) -> None:
    """Let the file system that is mounted at ``path`` fill its device. Raises VolumeError."""
    kind = await _existing(host, device)
    if kind in ("ext3", "ext4"):
        command: tuple[str, ...] = ("resize2fs", device)
    elif kind == "xfs":
        command = ("xfs_growfs", "-d", path)
    elif kind == "btrfs":
        command = ("btrfs", "filesystem", "resize", "max", path)
    else:
        raise VolumeError(
            f"ResizeFS.Resize - resize of format {kind} is not supported for device {device} "
            f"mounted at {path}"
        )
    answer = await _run(host, *command)
    if answer.status:
        raise VolumeError(
            f"resize of device {device} failed: exit status {answer.status}. {command[0]} output: "
            f"{answer.text.strip()}"
        )


async def _run(host: Host, *command: str) -> Output:
    try:
        return await host.run(*command)
    except FileNotFoundError:
        raise VolumeError(f'"{command[0]}": executable file not found in $PATH') from None


async def _existing(host: Host, device: str) -> str:
    """The device's file system; "" where there is none."""
    answer = await _run(host, "blkid", "-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "export", device)
    if answer.status == _NOT_FOUND:
        return ""
    if answer.status:
        raise VolumeError(f"failed to get disk format of disk {device}: {answer.text.strip()}")
    found = dict(line.partition("=")[::2] for line in answer.text.splitlines() if line)
    return PARTITIONS if found.get("PTTYPE") else found.get("TYPE", "")


async def _format(host: Host, device: str, path: str, fs_type: str) -> None:
    answer = await _run(host, f"mkfs.{fs_type}", *_FORMAT_OPTIONS.get(fs_type, ()), device)
    if answer.status:
        raise VolumeError(
            f'format of disk "{device}" failed: type:("{fs_type}") target:("{path}") '
            f"errcode:({answer.status}) output:({answer.text.strip()})"
        )


async def _check(host: Host, device: str) -> None:
    try:
        answer = await host.run("fsck", "-a", device)
    except FileNotFoundError:
        # Upstream goes on without it, too.
        return
    if answer.status == _UNCORRECTED:
        raise VolumeError(
            f"'fsck' found errors on device {device} but could not correct them: {answer.text}"
        )

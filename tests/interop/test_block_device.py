"""A block device as a local volume's: formatted by the distribution's tools, mounted, and kept."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.cluster import needs_root
from trireme.kubelet.host.real import RealHost
from trireme.kubelet.volumes import block_device

pytestmark = [
    pytest.mark.interop,
    needs_root,
    pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="mkfs.ext4 is not here"),
]


# A master boot record with one partition, which blkid recognizes.
PARTITION = bytes([0, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0x40, 0, 0])
RECORD = bytes(446) + PARTITION + bytes(48) + b"\x55\xaa"


@contextmanager
def device(folder: Path, begins_with: bytes = b"") -> Iterator[str]:
    image = folder / "disk"
    with image.open("wb") as file:
        file.write(begins_with)
        file.truncate(32 << 20)
    made = subprocess.run(["losetup", "-f", "--show", image], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no loop device can be had: {made.stderr.strip()}")
    path = made.stdout.strip()
    try:
        yield path
    finally:
        subprocess.run(["losetup", "-d", path], check=True)


def mount(device: str, where: Path, *options: str) -> None:
    asyncio.run(block_device.mount(RealHost(), device, str(where), "", options, may_format=True))


def test_files_outlive_the_mount(tmp_path: Path) -> None:
    where = tmp_path / "mounted"
    where.mkdir()
    with device(tmp_path) as path:
        for expected in (["lost+found"], ["kept", "lost+found"]):
            mount(path, where, "noatime")
            try:
                assert sorted(file.name for file in where.iterdir()) == expected
                mounts = Path("/proc/mounts").read_text().splitlines()
                assert "noatime" in next(line for line in mounts if str(where) in line)
                (where / "kept").write_text("x")
            finally:
                RealHost().unmount(str(where))


def test_a_device_with_partitions_is_not_formatted(tmp_path: Path) -> None:
    where = tmp_path / "mounted"
    where.mkdir()
    with device(tmp_path, RECORD) as path:
        with pytest.raises(OSError, match="mount failed"):
            mount(path, where)
        assert Path(path).read_bytes()[:512] == RECORD

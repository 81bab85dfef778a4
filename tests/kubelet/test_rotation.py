"""Container logs are rotated, packed and dropped, whatever lies beside them."""

from __future__ import annotations

import gzip
import random
from pathlib import Path
from typing import Any, cast

import pytest

from trireme.kit.clock import RealClock
from trireme.kit.env import Env
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri import model
from trireme.kubelet.cri.contract import RuntimeFailure
from trireme.kubelet.host.contract import Host
from trireme.kubelet.host.memory import MemoryHost
from trireme.kubelet.host.real import RealHost
from trireme.kubelet.logs.files import LogFiles
from trireme.kubelet.logs.rotate import Rotator


class Stepped(RealClock):
    """A minute later at each look."""

    minutes = 0

    def now(self) -> float:
        self.minutes += 1
        return self.minutes * 60.0


class Runtime:
    """One running container, which writes to ``path``."""

    def __init__(self, host: Host, path: str) -> None:
        self.host, self.path, self.broken = host, path, False

    async def list_containers(self) -> list[model.Container]:
        name = model.ContainerMetadata(name="main")
        return [model.Container(id="c", metadata=name, state=model.ContainerState.RUNNING)]

    async def container_status(self, container_id: str) -> model.ContainerStatus:
        name = model.ContainerMetadata(name="main")
        return model.ContainerStatus(id=container_id, metadata=name, log_path=self.path)

    async def reopen_log(self, container_id: str) -> None:
        if self.broken:
            raise RuntimeFailure("UNKNOWN", "no")
        self.host.write(self.path, b"")


class Setting:
    def __init__(self, host: Host, base: str) -> None:
        self.host, self.base = host, base
        self.folder = f"{base}/ns_web_1/main"
        host.make_dirs(self.folder)
        self.path = f"{self.folder}/0.log"
        self.runtime = Runtime(host, self.path)
        config = KubeletConfig(
            node_name="n", node_ips=(), logs_dir=base, log_max_bytes=10, log_max_files=4
        )
        env = Env(clock=Stepped(), rng=random.Random(1))
        self.rotator = Rotator(env, config, cast(Any, self.runtime), LogFiles(host, base))

    async def rotate(self, text: bytes) -> list[str]:
        self.host.write(self.path, text)
        await self.rotator.check()
        return self.host.list(self.folder)


def host_of(kind: str, tmp_path: Path) -> tuple[Host, str]:
    if kind == "real":
        return RealHost(), str(tmp_path)
    host = MemoryHost()
    host.make_dirs("/logs")
    return host, "/logs"


@pytest.mark.parametrize("kind", ["memory", "real"])
async def test_old_logs_are_packed_and_the_oldest_dropped(tmp_path: Path, kind: str) -> None:
    setting = Setting(*host_of(kind, tmp_path))
    assert await setting.rotate(b"small") == ["0.log"]
    first = await setting.rotate(b"1" * 20)
    assert len(first) == 2 and first[0] == "0.log" and not first[1].endswith(".gz")
    for number in b"234567":
        names = await setting.rotate(bytes([number]) * 20)
    assert [name.endswith(".gz") for name in names] == [False, True, True, False]
    packed = [setting.host.read(f"{setting.folder}/{name}") for name in names[1:3]]
    assert [gzip.decompress(data) for data in packed] == [b"5" * 20, b"6" * 20]
    assert setting.host.read(f"{setting.folder}/{names[3]}") == b"7" * 20


async def test_a_runtime_that_does_not_reopen_keeps_its_log() -> None:
    setting = Setting(*host_of("memory", Path()))
    setting.runtime.broken = True
    with pytest.raises(RuntimeFailure):
        await setting.rotate(b"1" * 20)
    assert setting.host.list(setting.folder) == ["0.log"]
    assert setting.host.read(setting.path) == b"1" * 20


@pytest.mark.parametrize("kind", ["memory", "real"])
async def test_links_beside_logs_are_left_alone(tmp_path: Path, kind: str) -> None:
    """A pod with a hostPath volume put them there; they stop no other pod's rotation."""
    setting = Setting(*host_of(kind, tmp_path))
    host, base = setting.host, setting.base
    host.make_dirs(f"{base}/outside")
    host.write(f"{base}/outside/0.log", b"secret" * 10)
    with host.open_root(base) as root:
        root.symlink("../../outside/0.log", "ns_web_1/main/0.log.20000101-000000")
        root.symlink("outside", "ns_trap_1")
        root.write("stray", b"")
    names = await setting.rotate(b"1" * 20)
    names = await setting.rotate(b"2" * 20)
    assert sorted(name.endswith(".gz") for name in names) == [False, False, False, True]
    for name in names:
        if name.endswith(".gz"):
            assert gzip.decompress(host.read(f"{setting.folder}/{name}")) == b"1" * 20
    assert host.list(f"{base}/outside") == ["0.log"]

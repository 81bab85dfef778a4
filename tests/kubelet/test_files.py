"""The atomic writer and log reading, on both kinds of host."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trireme.kit.clock import RealClock
from trireme.kit.env import Env
from trireme.kubelet import nanotime
from trireme.kubelet.host.contract import Host
from trireme.kubelet.host.memory import MemoryHost
from trireme.kubelet.host.real import RealHost
from trireme.kubelet.logs import parse, read
from trireme.kubelet.logs.files import LogFiles
from trireme.kubelet.logs.read import Options
from trireme.kubelet.volumes import atomic
from trireme.kubelet.volumes.atomic import File
from trireme.testing import virtual


@pytest.fixture(params=["memory", "real"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Host, str]:
    if request.param == "real":
        return RealHost(), str(tmp_path)
    host = MemoryHost()
    host.make_dirs("/v")
    return host, "/v"


async def test_the_size_of_a_tree_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    top, depth = tmp_path / "tree", 2000
    top.mkdir()
    (tmp_path / "large").write_bytes(bytes(1 << 20))
    (top / "link").symlink_to(tmp_path / "large")
    handle = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=handle)
        inner = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    host = RealHost()
    missing = str(tmp_path / "missing")
    try:
        assert (await host.tree_sizes([str(top), missing], inodes=True)) == {str(top): depth + 2}
        sizes = await host.tree_sizes([str(top), str(tmp_path / "large")])
        # The link is not what it leads to.
        assert sizes[str(tmp_path / "large")] >= 1 << 20
        assert sizes[str(top)] <= (depth + 2) * 4096
    finally:
        await host.remove_tree(str(top))


async def test_atomic_writer(place: tuple[Host, str]) -> None:
    host, root = place
    directory = f"{root}/vol"
    host.make_dirs(directory)
    first = {"a": File(b"1"), "d/e": File(b"2", 0o600)}
    assert await atomic.write(host, directory, first, "1")
    assert host.list(directory) == ["..1", "..data", "a", "d"]
    with host.open_root(directory) as below:
        assert below.readlink("a") == "..data/a"
    assert host.read(f"{directory}/d/e") == b"2"
    assert host.info(f"{directory}/d/e").mode == 0o600
    assert not await atomic.write(host, directory, first, "2")
    assert await atomic.write(host, directory, {"b": File(b"3")}, "3")
    assert host.list(directory) == ["..3", "..data", "b"]
    assert host.read(f"{directory}/b") == b"3"
    assert await atomic.write(host, directory, {}, "4")
    assert host.list(directory) == ["..4", "..data"]


@pytest.mark.parametrize("path", ["", "/a", "a/../b", "..a", ".."])
def test_paths_that_leave_the_volume_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="invalid path"):
        atomic.check_path(path)


names = st.lists(st.sampled_from(["a", "b", "c/x", "c/y", "d/e/f"]), unique=True)


@settings(max_examples=30)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "c/x", "c/y", "d/e"]), st.binary(max_size=4)),
        min_size=1,
        max_size=5,
    )
)
def test_after_each_write_exactly_the_payload_is_there(payloads: list) -> None:
    host = MemoryHost()
    host.make_dirs("/v")

    async def run() -> None:
        for index, payload in enumerate(payloads):
            await atomic.write(host, "/v", {k: File(v) for k, v in payload.items()}, str(index))
            listed = {name for name in host.list("/v") if not name.startswith("..")}
            assert listed == {path.split("/")[0] for path in payload}
            for path, data in payload.items():
                assert host.read(f"/v/{path}") == data

    asyncio.run(run())


def log(*texts: str, start: int = 0) -> bytes:
    return b"".join(
        f"{nanotime.fixed_nanos((start + i) * 10**9)} stdout F {text}\n".encode()
        for i, text in enumerate(texts)
    )


async def collect(host: Host, path: str, **options: Any) -> bytes:
    async def stopped() -> bool:
        return False

    logs = LogFiles(host, path.rpartition("/")[0])
    file, given = logs.open(path), Options(**options)
    parts = [text async for text in read.stream(logs, path, file, given, RealClock(), stopped)]
    return b"".join(parts)


async def test_log_options(place: tuple[Host, str]) -> None:
    host, root = place
    path = f"{root}/0.log"
    host.write(path, log("one", "two", "three"))
    assert await collect(host, path) == b"one\ntwo\nthree\n"
    assert await collect(host, path, tail_lines=2) == b"two\nthree\n"
    assert await collect(host, path, tail_lines=0) == b""
    assert await collect(host, path, tail_lines=9) == b"one\ntwo\nthree\n"
    assert await collect(host, path, since=2 * 10**9) == b"three\n"
    assert await collect(host, path, limit_bytes=5) == b"one\nt"
    assert await collect(host, path, tail_lines=1, timestamps=True) == (
        b"1970-01-01T00:00:02.000000000Z three\n"
    )
    assert await collect(host, path, stream="Stderr") == b""
    assert await collect(host, path, follow=True) == b"one\ntwo\nthree\n"
    with pytest.raises(FileNotFoundError):
        await collect(host, f"{root}/none.log")


async def test_partial_records_are_one_line(place: tuple[Host, str]) -> None:
    host, root = place
    path, stamp = f"{root}/0.log", nanotime.fixed_nanos(0)
    host.write(path, f"{stamp} stdout P ab\n{stamp} stdout F cd\n".encode())
    assert await collect(host, path, timestamps=True) == f"{stamp} abcd\n".encode()


@virtual.test()
async def test_following_sees_what_comes_and_survives_rotation(env: Env, tmp_path: Path) -> None:
    host, path = RealHost(), str(tmp_path / "0.log")
    host.write(path, log("one"))
    running, got = True, b""

    async def is_running() -> bool:
        return running

    async def follow() -> None:
        nonlocal got
        logs = LogFiles(host, str(tmp_path))
        follow = Options(follow=True)
        async for text in read.stream(logs, path, logs.open(path), follow, env.clock, is_running):
            got += text

    task = asyncio.create_task(follow())
    await virtual.run_ready()
    assert got == b"one\n"
    with open(path, "ab") as file:  # noqa: ASYNC230
        file.write(log("two"))
        file.flush()
        os.rename(path, path + ".1")
        file.write(log("three"))
    host.write(path, log("four"))
    await env.clock.sleep(1)
    running = False
    await task
    assert got == b"one\ntwo\nthree\nfour\n"


@given(st.lists(st.text(alphabet="ab \t", max_size=5), max_size=40), st.integers(0, 45))
def test_tail_is_the_end_of_the_log(texts: list[str], lines: int) -> None:
    host = MemoryHost()
    host.make_dirs("/l")
    host.write("/l/0.log", log(*texts))
    got = asyncio.run(collect(host, "/l/0.log", tail_lines=lines))
    expected = texts[len(texts) - lines :] if lines < len(texts) else texts
    if lines == 0:
        expected = []
    assert got == "".join(f"{text}\n" for text in expected).encode()


@pytest.mark.parametrize("record", [b"", b"x", b"2020-01-01T00:00:00Z other F x", b"a b c d"])
def test_garbage_is_no_record(record: bytes) -> None:
    with pytest.raises(ValueError):
        parse.parse(record)

"""The supervisor with real processes: it starts, restarts, ends and adopts them, and says so."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trireme.cluster import heartbeat, processes
from trireme.cluster.hosts import spawn
from trireme.cluster.processes import Component, Started, Supervisor
from trireme.cluster.settings import Settings
from trireme.store.contract import CannotOpen


@pytest.fixture
def cluster(tmp_path: Path) -> Settings:
    settings = Settings(
        name="t", state_dir=str(tmp_path / "s"), run_dir=str(tmp_path / "r"), datastore="", port=1
    )
    settings.ready_dir.mkdir(parents=True)
    return settings


@pytest.fixture
def supervisor(cluster: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """One that looks a hundred times as often, and takes nothing for hung."""
    monkeypatch.setattr(heartbeat, "MAX_CHECKS", 10_000)
    made = Supervisor(cluster, look=0.01)
    yield made
    made.end()


async def forever(started: Started) -> None:
    started()
    await asyncio.get_running_loop().create_future()


def component(cluster: Settings, main: processes.Main = forever, name: str = "one") -> Component:
    return Component(name, main, cluster.log_file(name))


def until(supervisor: Supervisor, done: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        supervisor._turn()


def record_of(cluster: Settings, name: str = "one") -> spawn.Running | None:
    found = [one for one in spawn.records(cluster.records_dir) if one.name == name]
    return found[0] if found and spawn.alive(found[0]) else None


def test_a_process_that_is_killed_comes_back_after_the_pause_that_is_logged(
    cluster: Settings, supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    supervisor.start(component(cluster))
    supervisor.wait("one")
    for pause in (0.1, 0.2, 0.4):
        record = record_of(cluster)
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)
        until(supervisor, lambda: not supervisor._states["one"].pid)
        state = supervisor._states["one"]
        assert caplog.messages[-1] == f"one ended with -9; starting it again in {pause:.1f} s"
        # The supervisor sleeps no longer than that.
        reader, writer = os.pipe()
        began, due = time.monotonic(), state.due
        supervisor._sleep(reader)
        os.close(reader)
        os.close(writer)
        assert time.monotonic() <= max(due, began) + 0.05
        until(supervisor, lambda old=record: record_of(cluster) not in (None, old))


def test_a_hung_process_says_where_and_is_started_again(
    cluster: Settings, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "MAX_CHECKS", 20)

    async def busy(started: Started) -> None:
        started()
        while True:
            pass

    supervisor.start(component(cluster, busy))
    until(supervisor, lambda: record_of(cluster))
    record = record_of(cluster)
    until(supervisor, lambda: record_of(cluster) not in (None, record))
    log = Path(cluster.log_file("one")).read_text()
    assert "Fatal Python error: Aborted" in log and "in busy" in log


def test_a_stopped_process_is_killed(
    cluster: Settings, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot even say where it hangs."""
    monkeypatch.setattr(heartbeat, "MAX_CHECKS", 20)
    monkeypatch.setattr(processes, "ABORT_GRACE", 0.05)
    supervisor.start(component(cluster))
    supervisor.wait("one")
    record = record_of(cluster)
    assert record is not None
    os.kill(record.pid, signal.SIGSTOP)
    until(supervisor, lambda: record_of(cluster) not in (None, record))


def test_processes_outlive_their_supervisor_and_are_adopted(cluster: Settings) -> None:
    reader, writer = os.pipe()
    first = os.fork()
    if first == 0:
        supervisor = Supervisor(cluster)
        supervisor.start(component(cluster))
        supervisor.wait("one")
        os.write(writer, b".")
        signal.pause()
    os.read(reader, 1)
    record = record_of(cluster)
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    second = Supervisor(cluster, look=0.01)
    try:
        second.start(component(cluster))
        second.wait("one")
        assert record is not None and record_of(cluster) == record
        # It is watched like a child.
        os.kill(record.pid, signal.SIGKILL)
        until(second, lambda: record_of(cluster) not in (None, record))
    finally:
        second.end()
        os.close(reader)
        os.close(writer)
    assert record_of(cluster) is None


def test_what_a_user_can_mend_is_left_for_up(cluster: Settings, supervisor: Supervisor) -> None:
    async def broken(_: Started) -> None:
        raise ExceptionGroup("tasks", [CannotOpen("the file is not a store")])

    supervisor.start(component(cluster, broken))
    until(supervisor, cluster.failure("one").exists)
    assert cluster.failure("one").read_text() == "the file is not a store"


def test_a_process_that_starts_after_all_takes_its_failure_back(
    cluster: Settings, supervisor: Supervisor
) -> None:
    cluster.failure("one").write_text("not yet")
    supervisor.start(component(cluster))
    supervisor.wait("one")
    assert not cluster.failure("one").exists()


def test_a_defect_of_ours_is_not_for_the_user(cluster: Settings, supervisor: Supervisor) -> None:
    async def broken(_: Started) -> None:
        raise KeyError("x")

    supervisor.start(component(cluster, broken))
    until(supervisor, lambda: not supervisor._states["one"].pid)
    assert not cluster.failure("one").exists()


def test_a_component_that_is_stopped_leaves_no_record(
    cluster: Settings, supervisor: Supervisor
) -> None:
    supervisor.start(component(cluster))
    supervisor.start(component(cluster, name="two"))
    supervisor.wait("one")
    supervisor.wait("two")
    supervisor.stop("one")
    supervisor.stop("unknown")
    until(supervisor, lambda: not supervisor.runs("one"))
    assert [one.name for one in spawn.records(cluster.records_dir)] == ["two"]
    assert not cluster.mark("one").exists()
    supervisor.start(component(cluster))
    supervisor.wait("one")
    assert record_of(cluster) is not None

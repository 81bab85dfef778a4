"""Heartbeats: a process or a runtime that stands still is hung, one that moves or ends is not."""

from __future__ import annotations

import socket
from pathlib import Path

from trireme.cluster import heartbeat
from trireme.cluster.heartbeat import (
    MAX_CHECKS,
    PERIOD,
    Heartbeat,
    HeartbeatMonitor,
    RuntimeMonitor,
)


def checks(monitor: HeartbeatMonitor | RuntimeMonitor, count: int) -> list[bool]:
    return [monitor.is_hung() for _ in range(count)]


def test_a_process_that_beats_is_not_hung(tmp_path: Path) -> None:
    own_heartbeat, monitor = (
        Heartbeat(tmp_path / "h/process"),
        HeartbeatMonitor(tmp_path / "h/process"),
    )
    for _ in range(3 * MAX_CHECKS):
        own_heartbeat.beat()
        assert not monitor.is_hung()


def test_a_process_that_stops_beating_is_hung_after_so_many_looks(tmp_path: Path) -> None:
    own_heartbeat, monitor = Heartbeat(tmp_path / "process"), HeartbeatMonitor(tmp_path / "process")
    own_heartbeat.beat()
    assert checks(monitor, MAX_CHECKS) == [False] * MAX_CHECKS
    assert monitor.is_hung()
    # It goes on after all, as one does that was stopped.
    own_heartbeat.beat()
    assert not monitor.is_hung()


def test_a_process_that_never_begins_to_beat_is_hung(tmp_path: Path) -> None:
    monitor = HeartbeatMonitor(tmp_path / "process")
    assert checks(monitor, MAX_CHECKS)[-1]


def test_a_heartbeat_is_adopted_by_another_watcher(tmp_path: Path) -> None:
    """The counter goes on from where it is; only a new process begins anew."""
    own_heartbeat = Heartbeat(tmp_path / "process")
    for _ in range(1000):
        own_heartbeat.beat()
    monitor = HeartbeatMonitor(tmp_path / "process")
    assert checks(monitor, MAX_CHECKS)[0] is False
    own_heartbeat.beat()
    assert not monitor.is_hung()


def runtime(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)
    return server


def test_a_runtime_that_answers_is_asked_now_and_then(tmp_path: Path) -> None:
    with runtime(tmp_path / "s") as server:
        monitor = RuntimeMonitor(str(tmp_path / "s"))
        for _ in range(5):
            assert not any(checks(monitor, PERIOD))
            client, _ = server.accept()
            with client:
                assert client.recv(100) == heartbeat._PREFACE
                client.send(b"\0\0\0\4\0\0\0\0\0")
                assert not monitor.is_hung()


def test_a_runtime_that_accepts_and_says_nothing_is_hung(tmp_path: Path) -> None:
    with runtime(tmp_path / "s"):
        monitor = RuntimeMonitor(str(tmp_path / "s"))
        assert not any(checks(monitor, PERIOD + MAX_CHECKS - 1))
        assert monitor.is_hung()


def test_a_runtime_whose_socket_refuses_or_is_not_there_is_not_hung(tmp_path: Path) -> None:
    absent = RuntimeMonitor(str(tmp_path / "none"))
    assert not any(checks(absent, 5 * MAX_CHECKS))
    runtime(tmp_path / "s").close()
    refusing = RuntimeMonitor(str(tmp_path / "s"))
    assert not any(checks(refusing, 5 * MAX_CHECKS))

"""Heartbeats: a process or a runtime that stands still is hung, one that moves or ends is not."""

from __future__ import annotations

import socket
from pathlib import Path

from trireme.cluster import heartbeat
from trireme.cluster.heartbeat import MOST_LOOKS, PERIOD, Heart, Pulse, RuntimePulse


def looks(pulse: Pulse | RuntimePulse, count: int) -> list[bool]:
    return [pulse.is_hung() for _ in range(count)]


def test_a_process_that_beats_is_not_hung(tmp_path: Path) -> None:
    heart, pulse = Heart(tmp_path / "h/process"), Pulse(tmp_path / "h/process")
    for _ in range(3 * MOST_LOOKS):
        heart.beat()
        assert not pulse.is_hung()


def test_a_process_that_stops_beating_is_hung_after_so_many_looks(tmp_path: Path) -> None:
    heart, pulse = Heart(tmp_path / "process"), Pulse(tmp_path / "process")
    heart.beat()
    assert looks(pulse, MOST_LOOKS) == [False] * MOST_LOOKS
    assert pulse.is_hung()
    # It goes on after all, as one does that was stopped.
    heart.beat()
    assert not pulse.is_hung()


def test_a_process_that_never_begins_to_beat_is_hung(tmp_path: Path) -> None:
    pulse = Pulse(tmp_path / "process")
    assert looks(pulse, MOST_LOOKS)[-1]


def test_a_heartbeat_is_adopted_by_another_watcher(tmp_path: Path) -> None:
    """The counter goes on from where it is; only a new process begins anew."""
    heart = Heart(tmp_path / "process")
    for _ in range(1000):
        heart.beat()
    pulse = Pulse(tmp_path / "process")
    assert looks(pulse, MOST_LOOKS)[0] is False
    heart.beat()
    assert not pulse.is_hung()


def runtime(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)
    return server


def test_a_runtime_that_answers_is_asked_now_and_then(tmp_path: Path) -> None:
    with runtime(tmp_path / "s") as server:
        pulse = RuntimePulse(str(tmp_path / "s"))
        for _ in range(5):
            assert not any(looks(pulse, PERIOD))
            client, _ = server.accept()
            with client:
                assert client.recv(100) == heartbeat._HELLO
                client.send(b"\0\0\0\4\0\0\0\0\0")
                assert not pulse.is_hung()


def test_a_runtime_that_accepts_and_says_nothing_is_hung(tmp_path: Path) -> None:
    with runtime(tmp_path / "s"):
        pulse = RuntimePulse(str(tmp_path / "s"))
        assert not any(looks(pulse, PERIOD + MOST_LOOKS - 1))
        assert pulse.is_hung()


def test_a_runtime_whose_socket_refuses_or_is_not_there_is_not_hung(tmp_path: Path) -> None:
    absent = RuntimePulse(str(tmp_path / "none"))
    assert not any(looks(absent, 5 * MOST_LOOKS))
    runtime(tmp_path / "s").close()
    refusing = RuntimePulse(str(tmp_path / "s"))
    assert not any(looks(refusing, 5 * MOST_LOOKS))

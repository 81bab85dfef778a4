"""Liveness of a local cluster's processes: heartbeats, and probes of containerd.

In: a file for each process, below the cluster's run folder, in which it increments a counter every
other second; the socket of a container runtime. Out: whether the counter stopped, or the runtime
does not answer. The file is mapped into memory: a beat costs no system call, and outlives the
monitor. A monitor counts its own checks, a second apart, and not seconds, so that processes of a
machine that was suspended are not taken for hung.
"""

from __future__ import annotations

import contextlib
import mmap
import socket
from pathlib import Path

INTERVAL = 2.0
# After so many checks without a beat or an answer a process is hung.
MAX_CHECKS = 20
# The number of checks between an answer of a runtime and the next probe.
PERIOD = 10
# A gRPC client's first bytes: the preface of HTTP/2 (RFC 9113, 3.4) and empty SETTINGS. A server
# answers with its own SETTINGS.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SIZE = 8


class Heartbeat:
    """The counter of this process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w+b") as file:
            file.write(bytes(_SIZE))
            file.flush()
            self._memory = mmap.mmap(file.fileno(), _SIZE)
        self._count = 0

    def beat(self) -> None:
        """Raise the counter."""
        self._count += 1
        self._memory[:] = self._count.to_bytes(_SIZE, "little")

    async def run(self) -> None:
        """Beat for as long as the event loop runs."""
        # Only here: those who start processes have no event loop, and are to be small.
        import asyncio

        while True:
            self.beat()
            await asyncio.sleep(INTERVAL)


class HeartbeatMonitor:
    """Checks the counter of another process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = b""
        self._checks = 0

    def is_hung(self) -> bool:
        """Check once; whether the counter stopped for ``MAX_CHECKS`` checks. A process that has not
        begun to beat has as long."""
        try:
            now = self._path.read_bytes()
        except FileNotFoundError:
            now = b""
        self._checks = self._checks + 1 if now == self._last else 0
        self._last = now
        return self._checks >= MAX_CHECKS


class RuntimeMonitor:
    """Checks whether the gRPC server of a container runtime answers."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._asking: socket.socket | None = None
        self._checks = 0

    def is_hung(self) -> bool:
        """Check once; whether a probe has had no answer for ``MAX_CHECKS`` checks. A runtime whose
        socket refuses is not hung: it is stopping or starting."""
        self._checks += 1
        if self._asking is None:
            if self._checks >= PERIOD:
                self._ask()
            return False
        try:
            self._asking.recv(1)
        except BlockingIOError:
            return self._checks >= MAX_CHECKS
        except OSError:
            pass
        self._drop()
        return False

    def _ask(self) -> None:
        self._checks = 0
        self._asking = socket.socket(socket.AF_UNIX)
        self._asking.setblocking(False)
        try:
            self._asking.connect(self._path)
            self._asking.send(_PREFACE)
        except BlockingIOError:
            # Its backlog is full: it does not accept connections.
            return
        except OSError:
            self._drop()

    def _drop(self) -> None:
        self._checks = 0
        if self._asking is not None:
            with contextlib.suppress(OSError):
                self._asking.close()
            self._asking = None

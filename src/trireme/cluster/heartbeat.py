"""Whether a process of a local cluster is hung: heartbeats of ours, questions to containerd.

In: a file for each process, below the cluster's run folder, in which it raises a counter every
other second; the socket of a container runtime. Out: whether the counter stands still, or the
runtime does not answer. The file is mapped into memory: a beat costs no system call, and outlives
the watcher. A watcher counts its own looks, a second apart, and not seconds: a machine that stood
still as a whole has no hung process.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import socket
from pathlib import Path

INTERVAL = 2.0
# So many looks without a beat or an answer: the process is hung.
MOST_LOOKS = 20
# So many looks after its answer a runtime is asked again.
PERIOD = 10
# What a gRPC client says first: the preface of HTTP/2 (RFC 9113, 3.4) and empty SETTINGS. A server
# answers with its own SETTINGS.
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SIZE = 8


class Heart:
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
        while True:
            self.beat()
            await asyncio.sleep(INTERVAL)


class Pulse:
    """What a watcher has seen of another process's counter."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = b""
        self._looks = 0

    def is_hung(self) -> bool:
        """Look once; whether the counter has stood still for too many looks. A process that has not
        begun to beat has as long."""
        try:
            now = self._path.read_bytes()
        except FileNotFoundError:
            now = b""
        self._looks = self._looks + 1 if now == self._seen else 0
        self._seen = now
        return self._looks >= MOST_LOOKS


class RuntimePulse:
    """What a watcher has seen of a container runtime: whether its gRPC server answers."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._asking: socket.socket | None = None
        self._looks = 0

    def is_hung(self) -> bool:
        """Look once; whether a question has been without an answer for too many looks. A runtime
        whose socket refuses is not hung: it ends or begins."""
        self._looks += 1
        if self._asking is None:
            if self._looks >= PERIOD:
                self._ask()
            return False
        try:
            self._asking.recv(1)
        except BlockingIOError:
            return self._looks >= MOST_LOOKS
        except OSError:
            pass
        self._drop()
        return False

    def _ask(self) -> None:
        self._looks = 0
        self._asking = socket.socket(socket.AF_UNIX)
        self._asking.setblocking(False)
        try:
            self._asking.connect(self._path)
            self._asking.send(_HELLO)
        except BlockingIOError:
            # Its queue of connections is full: nobody accepts.
            return
        except OSError:
            self._drop()

    def _drop(self) -> None:
        self._looks = 0
        if self._asking is not None:
            with contextlib.suppress(OSError):
                self._asking.close()
            self._asking = None

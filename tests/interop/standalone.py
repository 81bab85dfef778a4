"""Components run alone, each by its own command, in the foreground of a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tests.interop.cluster import TRIREME, Kubectl, until


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def alone(*words: str, log: Path, within: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """A component in the foreground of a process of its own; it has to end well.

    ``within`` are the words before the command, such as ``nsenter``'s."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*within, *TRIREME, *words], stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            yield process
            assert process.poll() is None, log.read_text()
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0, log.read_text()
        finally:
            process.kill()
            process.communicate()


@contextmanager
def api_server(folder: Path, *more: str) -> Iterator[Kubectl]:
    """An API server alone, with its files in the folder, and kubectl as its administrator."""
    words = ("apiserver", "--port", str(free_port()), "--state-dir", str(folder), *more)
    with alone(*words, "--datastore", "memory", log=folder / "apiserver.log") as process:
        assert process.stdout is not None
        kubectl = Kubectl(Path(process.stdout.readline().strip()), "alone")
        until(lambda: "ready" in (folder / "apiserver.log").read_text())
        yield kubectl

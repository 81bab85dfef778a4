"""Components run alone, each by its own command, in the foreground of a process of its own."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
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


def page(port: int, path: str, folder: Path, user: str = "admin") -> tuple[int, str]:
    """A page of a component that serves on ``port``, got with a certificate of the API server's
    folder; "" for none."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if user:
        context.load_cert_chain(folder / f"pki/{user}.crt", folder / f"pki/{user}.key")
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}{path}", context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()

"""etcd members on loopback: the ``etcd`` of the distribution. Data is in memory."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from trireme.kit import pki
from trireme.store.etcd import EtcdConfig, Tls

PROGRAM = shutil.which("etcd") or ""
_MEMORY = Path("/dev/shm")


class Etcd:
    """A cluster of ``members``, with or without TLS; a context manager."""

    def __init__(self, members: int = 1, *, tls: bool = False, flags: tuple[str, ...] = ()) -> None:
        if not PROGRAM:
            pytest.skip("there is no etcd")
        self.tls = tls
        self._flags = flags
        self._ports = [(_free_port(), _free_port()) for _ in range(members)]
        self._folder = Path(
            tempfile.mkdtemp(prefix="etcd-", dir=_MEMORY if _MEMORY.is_dir() else None)
        )
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        if tls:
            self.rotate()

    @property
    def urls(self) -> tuple[str, ...]:
        scheme = "https" if self.tls else "http"
        return tuple(f"{scheme}://127.0.0.1:{client}" for client, _ in self._ports)

    @property
    def config(self) -> EtcdConfig:
        return EtcdConfig(self.urls, self.client)

    def client(self) -> Tls | None:
        """The client's certificate as it is now."""
        if not self.tls:
            return None
        files = (self.file(name) for name in ("ca.crt", "client.crt", "client.key"))
        return Tls(*(path.read_bytes() for path in files))

    def file(self, name: str) -> Path:
        return self._folder / name

    def rotate(self) -> None:
        """New keys and certificates, of a new authority; members take them when started anew."""
        now = time.time()
        authority = pki.new_authority("etcd", now)
        self.file("ca.crt").write_bytes(authority.certificate)
        for name in ("server", "client"):
            pair = pki.issue(
                authority, name, now=now, names=("127.0.0.1", "localhost"), server=name == "server"
            )
            self.file(f"{name}.crt").write_bytes(pair.certificate)
            self.file(f"{name}.key").write_bytes(pair.key)

    def __enter__(self) -> Etcd:
        for member in range(len(self._ports)):
            self.start(member)
        self.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        for member in list(self._processes):
            self.kill(member)
        shutil.rmtree(self._folder)

    def start(self, member: int) -> None:
        client, peer = self._ports[member]
        scheme = "https" if self.tls else "http"
        command = [
            PROGRAM,
            f"--name=m{member}",
            f"--data-dir={self.file(f'm{member}')}",
            f"--listen-client-urls={scheme}://127.0.0.1:{client}",
            f"--advertise-client-urls={scheme}://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            "--initial-cluster="
            + ",".join(f"m{n}=http://127.0.0.1:{port}" for n, (_, port) in enumerate(self._ports)),
            "--heartbeat-interval=20",
            "--election-timeout=200",
            "--log-level=error",
            *self._flags,
        ]
        if self.tls:
            command += [
                f"--cert-file={self.file('server.crt')}",
                f"--key-file={self.file('server.key')}",
                f"--trusted-ca-file={self.file('ca.crt')}",
                "--client-cert-auth",
            ]
        log = self.file(f"m{member}.log").open("ab")
        self._processes[member] = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self, member: int) -> None:
        process = self._processes.pop(member)
        process.kill()
        process.wait()

    def pause(self, member: int) -> None:
        """The member does not answer any more, as if its disk hung."""
        self._processes[member].send_signal(signal.SIGSTOP)

    def resume(self, member: int) -> None:
        self._processes[member].send_signal(signal.SIGCONT)

    def wait(self) -> None:
        """Until every running member serves its clients."""
        for member in self._processes:
            deadline = time.monotonic() + 20
            while not _answers(self._ports[member][0]):
                assert time.monotonic() < deadline, self.file(f"m{member}.log").read_text()
                time.sleep(0.01)


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

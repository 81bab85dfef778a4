"""What is measured: our API server, or upstream's with its etcd, each started fresh and removed.

In: nothing, or the folder of upstream's binaries (``kube-apiserver`` and ``etcd``). ETCD may name
a program around etcd's embeddable server, which is started with DATA_DIR CLIENT_URL PEER_URL.
Out: a ``Subject``: its address, its processes, how long it took until it was ready.
"""

from __future__ import annotations

import compileall
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trireme as trireme_package
from trireme.cluster import usage
from trireme.kit import pki

TOKEN = "measured"
READY_WITHIN = 60.0


@dataclass(frozen=True)
class Subject:
    """A running API server. ``ready`` are the seconds from its start until /readyz said ok."""

    port: int
    authority: Path
    processes: dict[str, int]
    ready: float

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def context(self) -> ssl.SSLContext:
        """TLS for a client of it."""
        return ssl.create_default_context(cafile=str(self.authority))

    def pss(self) -> float:
        """The proportional memory of all its processes, in MB."""
        used = [usage.of(pid) for pid in self.processes.values()]
        return sum(item.pss for item in used if item is not None) / 1e6


@contextmanager
def trireme(*flags: str) -> Iterator[Subject]:
    """Our API server with its store in SQLite, or where the flags (NAME=VALUE) say."""
    with tempfile.TemporaryDirectory(prefix="trireme-bench-") as name, ExitStack() as undo:
        folder, port = Path(name), free_port()
        _keys(folder)
        compiled()
        script = Path(__file__).with_name("api_server.py")
        began = time.monotonic()
        command = [sys.executable, str(script), name, str(port), *flags]
        server = undo.enter_context(_process(command, name))
        yield _ready(port, folder, {"API server": server}, began)


def compiled() -> None:
    """Compile our sources, as ``scripts/up`` does: Python itself may be forbidden to keep that."""
    compileall.compile_dir(Path(trireme_package.__file__).parent, quiet=1)


@contextmanager
def upstream(binaries: Path, *flags: str, etcd: str = "") -> Iterator[Subject]:
    """Upstream's API server with etcd, and both count; ``etcd``: one that runs, by its URLs."""
    with tempfile.TemporaryDirectory(prefix="trireme-bench-") as name, ExitStack() as undo:
        folder, port = Path(name), free_port()
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        _keys(folder)
        (folder / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n')
        (folder / "accounts.pub").write_bytes(
            pki.public_key((folder / "accounts.key").read_bytes())
        )
        began = time.monotonic()
        processes = {}
        if not etcd:
            own = _etcd(binaries, folder, client, peer)
            processes["etcd"] = undo.enter_context(_process(own, name))
        command = [
            str(binaries / "kube-apiserver"),
            f"--etcd-servers={etcd or client}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={folder / 'serving.pem'}",
            f"--tls-private-key-file={folder / 'serving.key'}",
            f"--client-ca-file={folder / 'ca.pem'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            f"--service-account-key-file={folder / 'accounts.pub'}",
            f"--service-account-signing-key-file={folder / 'accounts.key'}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--authorization-mode=Node,RBAC",
            "--service-cluster-ip-range=10.96.0.0/12",
            *flags,
        ]
        processes["API server"] = undo.enter_context(_process(command, name))
        yield _ready(port, folder, processes, began)


@contextmanager
def etcd(binaries: Path) -> Iterator[str]:
    """An etcd of its own, on the disk; its URL."""
    with tempfile.TemporaryDirectory(prefix="trireme-bench-") as name:
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        with _process(_etcd(binaries, Path(name), client, peer), name):
            yield client


def _etcd(binaries: Path, folder: Path, client: str, peer: str) -> list[str]:
    program = os.environ.get("ETCD") or binaries / "etcd"
    if not Path(program).exists():
        raise SystemExit(f"there is no etcd in {binaries}; name one with ETCD=PATH")
    if "ETCD" in os.environ:
        return [str(program), str(folder / "etcd"), client, peer]
    return [
        str(program),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=error",
    ]


def _keys(folder: Path) -> None:
    now = time.time()
    authority = pki.new_authority("bench", now)
    serving = pki.issue(authority, "apiserver", now, names=["127.0.0.1", "localhost"], server=True)
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "serving.pem").write_bytes(serving.certificate)
    (folder / "serving.key").write_bytes(serving.key)
    (folder / "accounts.key").write_bytes(pki.new_key())


@contextmanager
def _process(command: list[str], folder: str) -> Iterator[int]:
    if shutil.which(command[0]) is None:
        raise SystemExit(f"{command[0]} is not there")
    with open(Path(folder, f"{Path(command[0]).name}.log"), "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(port: int, folder: Path, processes: dict[str, int], began: float) -> Subject:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    request = urllib.request.Request(
        f"https://127.0.0.1:{port}/readyz", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    while time.monotonic() < began + READY_WITHIN and all(map(_alive, processes.values())):
        try:
            with urllib.request.urlopen(request, context=context, timeout=5) as answer:
                if answer.status == 200:
                    ready = time.monotonic() - began
                    return Subject(port, folder / "ca.pem", processes, ready)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.005)
    logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
    raise SystemExit(f"ended, or not ready within {READY_WITHIN:.0f} s:\n{logs}")


def _alive(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

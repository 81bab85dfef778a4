"""The members of etcd of a local cluster: one process for each, on loopback, with TLS.

In: the cluster's settings. Out: the main of a member's component, and the flags with which an API
server uses them. The program is the distribution's ``etcd``. Called by ``compose``.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path

from trireme.cluster.hosts import enter
from trireme.cluster.settings import Settings
from trireme.cluster.up import CannotStart
from trireme.kit.env import Env

PROGRAM = "etcd"
AUTHORITY, SERVER, CLIENT = "etcd-ca", "etcd-server", "etcd-client"


def check() -> None:
    """CannotStart where the program is not installed."""
    if shutil.which(PROGRAM) is None:
        raise CannotStart(
            "--datastore etcd: there is no program 'etcd': apt-get install etcd-server"
        )


def flags(cluster: Settings) -> tuple[str, ...]:
    """The flags of an API server on the cluster's own etcd; none where it has none."""
    if not cluster.etcd_ports:
        return ()
    servers = ",".join(f"https://127.0.0.1:{client}" for client, _ in cluster.etcd_ports)
    pki = cluster.pki_dir
    return (
        f"etcd-servers={servers}",
        f"etcd-cafile={pki / f'{AUTHORITY}.crt'}",
        f"etcd-certfile={pki / f'{CLIENT}.crt'}",
        f"etcd-keyfile={pki / f'{CLIENT}.key'}",
    )


def command(cluster: Settings, member: int) -> list[str]:
    """The command line of a member."""
    client, peer = (f"https://127.0.0.1:{port}" for port in cluster.etcd_ports[member])
    members = ",".join(
        f"etcd-{number}=https://127.0.0.1:{port}"
        for number, (_, port) in enumerate(cluster.etcd_ports)
    )
    authority, certificate, key = (
        cluster.pki_dir / name for name in (f"{AUTHORITY}.crt", f"{SERVER}.crt", f"{SERVER}.key")
    )
    return [
        PROGRAM,
        f"--name=etcd-{member}",
        f"--data-dir={Path(cluster.state_dir, 'etcd', str(member))}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={members}",
        f"--initial-cluster-token={cluster.name}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        f"--trusted-ca-file={authority}",
        "--client-cert-auth",
        f"--peer-cert-file={certificate}",
        f"--peer-key-file={key}",
        f"--peer-trusted-ca-file={authority}",
        "--peer-client-cert-auth",
        "--log-level=warn",
    ]


async def run(cluster: Settings, member: int, env: Env) -> None:
    """Run a member until cancelled; it ends with this process however that ends."""
    process = await asyncio.create_subprocess_exec(
        *command(cluster, member), preexec_fn=enter.die_with_parent
    )
    ended = asyncio.ensure_future(process.wait())
    listening = asyncio.ensure_future(_listens(cluster.etcd_ports[member][0]))
    try:
        await asyncio.wait({ended, listening}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            env.started()
        raise CannotStart(
            f"etcd ended with {await ended}; its log: {cluster.log_file(f'etcd-{member}')}"
        )
    finally:
        listening.cancel()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _listens(port: int) -> None:
    """Returns once a connection is accepted."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.02)

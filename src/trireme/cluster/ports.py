"""Ports of a cluster: the first free ones, and the reason why one cannot be used."""

from __future__ import annotations

import errno
import itertools
import socket
from collections.abc import Collection

from trireme.cluster.up import CannotStart

FIRST = 6443
# Upstream's of the controllers; the scheduler's is two more.
COMPONENTS, STEP = 10257, 10
# Of etcd's members; above those that one of the host's own has.
ETCD = 23790


def first_free(others: Collection[int] = ()) -> int:
    """The first port from 6443 on that is free on this machine. Raises CannotStart.

    ``others`` are those of other clusters, which may be restarting.
    """
    for port in range(FIRST, FIRST + 100):
        if port not in others and not problem(port, "127.0.0.1"):
            return port
    raise CannotStart(f"no free port from {FIRST} on: choose one with --api-port")


def components(others: Collection[int] = ()) -> int:
    """The first port from 10257 on, in steps of ten, that is free for the controllers, and two more
    for the scheduler; 0 where none is."""
    for port in range(COMPONENTS, COMPONENTS + 100 * STEP, STEP):
        if port not in others and not any(problem(p, "127.0.0.1") for p in (port, port + 2)):
            return port
    return 0


def etcd(members: int, others: Collection[int] = ()) -> tuple[tuple[int, int], ...]:
    """Ports on loopback for members of etcd: for clients, and for each other. CannotStart."""
    free = (
        port
        for port in range(ETCD, ETCD + 1000)
        if port not in others and not problem(port, "127.0.0.1")
    )
    found = list(itertools.islice(free, 2 * members))
    if len(found) < 2 * members:
        raise CannotStart(f"no free ports for etcd from {ETCD} on")
    return tuple(zip(found[::2], found[1::2], strict=True))


def problem(port: int, address: str, option: str = "--port") -> str:
    """The reason why a port cannot be listened on, with a remedy; empty if it can."""
    if not 0 < port < 65536:
        return f"{option} {port}: must be 1 to 65535"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"port {port} on {address} is in use: choose another with {option}"
            return f"cannot listen on {address}:{port}: {error.strerror}; see {option}"
    return ""

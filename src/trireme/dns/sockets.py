"""The sockets of a DNS server, made apart from it, so that they may outlive it.

Queries that arrive while no server runs wait in them for the next one. Called by ``server``, and by
the supervisor of a local cluster.
"""

from __future__ import annotations

import socket

Pair = tuple[socket.socket, socket.socket]
Held = tuple[Pair, ...]


def bind(address: str, port: int) -> Pair:
    """The UDP and the listening TCP socket of an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, backlog=128)
    datagrams = socket.socket(family, socket.SOCK_DGRAM)
    datagrams.bind(listener.getsockname())
    return datagrams, listener

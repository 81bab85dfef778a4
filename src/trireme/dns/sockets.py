"""The sockets of a DNS server, made apart from it: they may be held beyond its life.

Questions that come while no server runs wait in them for the next one. Called by ``server``, and by
the parent of the processes of a local cluster.
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

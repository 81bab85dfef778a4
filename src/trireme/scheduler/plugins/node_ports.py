"""NodePorts: a host port can be had once per node, protocol and address."""

from __future__ import annotations

import numpy as np

from trireme.scheduler.framework import Plugin, Refusal, Subject
from trireme.scheduler.snapshot.columns import Columns

REASON = "node(s) didn't have free ports for the requested pod ports"


def refuse(columns: Columns, subject: Subject) -> list[Refusal] | None:
    """The nodes where one of the pod's host ports is taken."""
    if not subject.request.ports:
        return None
    taken = np.zeros(columns.size, np.bool_)
    for protocol, address, port in subject.request.ports:
        taken |= columns.ports_taken(protocol, address, port)
    return [Refusal(taken, REASON)]


PLUGIN = Plugin("NodePorts", filter=refuse)

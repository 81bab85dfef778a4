"""Scheduling signatures: the fields of a pod that local plugins depend on, as a key.

In: pods. Out: a ``Signature``: its number and the pod's ``Request``. Called for each pod to be
scheduled and each on a node, so it must be cheap: the relevant fields of the spec are encoded once,
and everything else is found by that text. Upstream: KEP-5598.
"""

from __future__ import annotations

import msgspec

from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.domain import scheduling_requests
from trireme.domain.scheduling_requests import Request

CAPACITY = 4096
_encode = msgspec.json.Encoder().encode


class Signature(msgspec.Struct, frozen=True):
    """``number`` is equal for pods for which every local plugin gives the same results."""

    number: int
    request: Request


class Signatures:
    """The signatures of one scheduler."""

    def __init__(self) -> None:
        self._known: dict[bytes, Signature] = {}
        self._given = 0

    def of(self, pod: Pod) -> Signature:
        """The pod's signature."""
        spec = pod.spec
        affinity = spec.affinity
        text = _encode(
            (
                [_parts(item) for item in spec.containers],
                [(_parts(item), item.restartPolicy) for item in spec.initContainers],
                spec.resources,
                spec.overhead,
                spec.nodeSelector,
                spec.tolerations,
                affinity.nodeAffinity if affinity is not None else None,
            )
        )
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= CAPACITY:
                del self._known[next(iter(self._known))]
            self._given += 1
            known = self._known[text] = Signature(self._given, scheduling_requests.of(pod))
        return known


def _parts(container: Container) -> tuple[object, ...]:
    return container.resources.requests, container.ports

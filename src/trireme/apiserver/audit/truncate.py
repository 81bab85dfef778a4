"""Bounds on the sizes of events and of batches. Pure. Upstream: ``plugin/pkg/audit/truncate``."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from trireme.apiserver.audit.event import Event
from trireme.apiserver.settings.audit import Truncation

_TRUNCATED = "audit.k8s.io/truncated"


def encoded(events: Iterable[Event], limits: Truncation | None) -> list[tuple[Event, bytes]]:
    """Events as JSON. One that is too large loses its objects, and is left out if it still is."""
    found = []
    for event in events:
        data = msgspec.json.encode(event)
        if limits is not None and len(data) > limits.event:
            event = msgspec.structs.replace(
                event,
                requestObject=None,
                responseObject=None,
                annotations={**(event.annotations or {}), _TRUNCATED: "true"},
            )
            data = msgspec.json.encode(event)
            if len(data) > limits.event:
                continue
        found.append((event, data))
    return found


def batches(events: Iterable[bytes], limits: Truncation | None) -> list[list[bytes]]:
    """Events in batches of no more than so many bytes, unless one alone has more."""
    found: list[list[bytes]] = []
    size = 0
    for data in events:
        if not found or (limits is not None and size + len(data) > limits.batch):
            found.append([])
            size = 0
        found[-1].append(data)
        size += len(data)
    return found

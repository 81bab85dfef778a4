"""What a controller wrote and its caches do not show yet: so that it does not do it twice.

In: the answers of the API server to writes, and the informers of what was written. Out:
``visible(key)``: do the caches show all that was written for this key? Used by controllers whose
next decision counts on their last one. A write that does not show within five minutes is given up.
Upstream: pkg/controller/util/consistency; the deletions as in pkg/controller/controller_utils.

    made = await client.create(pod)
    written.wrote(key, pods, made)
    ...
    if not written.visible(key): return WAIT

Revisions are one sequence for all kinds, so that an informer which has seen a later one has seen
all before. Nothing is counted, and no handler of events is needed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import prometheus_client

from trireme.kit import metrics
from trireme.kit.clock import Clock
from trireme.runtime import keys
from trireme.runtime.controller import After
from trireme.runtime.informer import Informer
from trireme.runtime.keys import Key

TIMEOUT = 300.0
# The event that shows the write brings its key back; this is for one that never comes, because the
# object was gone again when the informer listed.
WAIT = After(1.0)


@dataclass(slots=True)
class _Pending:
    since: float
    # By informer, the revision that it has to reach.
    revisions: dict[Informer[Any], int] = field(default_factory=dict)
    deletions: deque[tuple[Informer[Any], Key, str]] = field(default_factory=deque)


class Written:
    """The writes of one controller, by the key that they were made for. With a registry and the
    ``subsystem`` of the controller's metrics it is counted how often work had to wait for them."""

    def __init__(
        self,
        clock: Clock,
        registry: prometheus_client.CollectorRegistry | None = None,
        subsystem: str = "",
    ) -> None:
        self._clock = clock
        self._skips: prometheus_client.Counter | None = None
        if registry is not None:
            self._skips = metrics.counter(
                registry,
                f"{subsystem}_stale_sync_skips_total",
                "How often work had to wait until a cache shows what was written",
                ["group", "resource"],
            )
        self._pending: dict[Key, _Pending] = {}

    def wrote(self, key: Key, informer: Informer[Any], stored: Any) -> None:
        """``stored`` is what the server answered to a create, an update or a patch."""
        revision = int(stored.metadata.resourceVersion or 0)
        if revision <= informer.revision:
            return
        pending = self._of(key)
        pending.revisions[informer] = max(revision, pending.revisions.get(informer, 0))

    def deleted(self, key: Key, informer: Informer[Any], obj: Any) -> None:
        """The server accepted the deletion of ``obj``."""
        self._of(key).deletions.append((informer, keys.of(obj.metadata), obj.metadata.uid))

    def visible(self, key: Key) -> bool:
        """Whether the caches show all of it, or have had long enough."""
        pending = self._pending.get(key)
        if pending is None:
            return True
        if self._clock.monotonic() - pending.since <= TIMEOUT:
            for informer, least in pending.revisions.items():
                if informer.revision < least:
                    return self._skip(informer)
            while pending.deletions:
                if not _observed_deletion(*pending.deletions[0]):
                    return self._skip(pending.deletions[0][0])
                pending.deletions.popleft()
        del self._pending[key]
        return True

    def _skip(self, informer: Informer[Any]) -> bool:
        if self._skips is not None:
            self._skips.labels(informer.where.group, informer.where.plural).inc()
        return False

    def forget(self, key: Key) -> None:
        """The controller's object is gone."""
        self._pending.pop(key, None)

    def _of(self, key: Key) -> _Pending:
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = _Pending(self._clock.monotonic())
        return pending


def _observed_deletion(informer: Informer[Any], key: Key, uid: str) -> bool:
    found = informer.get(*key)
    return (
        found is None or found.metadata.uid != uid or found.metadata.deletionTimestamp is not None
    )

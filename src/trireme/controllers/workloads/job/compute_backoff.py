"""How long a Job waits before it replaces pods that failed. Pure.

In: pods that finished since the last look, the time. Out: a ``Backoff``, kept by the controller for
each Job; seconds to wait: 10 for the first failure, doubled for each further one without a success
between, at most 10 minutes. Called by ``plan``. Upstream: pkg/controller/job/backoff_utils.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.status import ContainerStatus
from trireme.domain import pods
from trireme.machinery import time

FIRST, LONGEST = 10.0, 600.0


class Backoff(msgspec.Struct, frozen=True):
    """``failures`` since the last success, the last one at ``last``."""

    failures: int = 0
    last: float = 0.0

    def remaining(self, now: float) -> float:
        """Seconds until a pod may be created; 0 when it may be now."""
        return remaining(self.failures, self.last, now)


def remaining(failures: int, last: float, now: float) -> float:
    """Seconds to wait after so many failures, the last one at ``last``."""
    if not failures:
        return 0.0
    delay = min(FIRST * 2.0 ** min(failures - 1, 10), LONGEST)
    return max(0.0, last + delay - now)


def after(known: Backoff, succeeded: Sequence[Pod], failed: Sequence[Pod]) -> Backoff:
    """The state once these pods have finished, too."""
    failures = sorted(map(finished_at, failed))
    if succeeded:
        success = max(map(finished_at, succeeded))
        failures = [moment for moment in failures if moment > success]
        return Backoff(len(failures), failures[-1] if failures else 0.0)
    if failures:
        return Backoff(known.failures + len(failures), failures[-1])
    return known


def finished_at(pod: Pod) -> float:
    """When the pod ended: by its containers, else since when it is not ready, else when it was
    deleted, else when it was created; seconds since 1970."""
    ended = _containers_ended(pod)
    if ended is not None:
        return ended
    ready = pods.condition(pod, "Ready")
    if ready is not None and ready.status == "False" and ready.lastTransitionTime:
        return time.parse(ready.lastTransitionTime)
    if pod.metadata.deletionTimestamp is not None:
        grace = pod.metadata.deletionGracePeriodSeconds or 0
        return time.parse(pod.metadata.deletionTimestamp) - grace
    return time.parse(pod.metadata.creationTimestamp) if pod.metadata.creationTimestamp else 0.0


def _containers_ended(pod: Pod) -> float | None:
    """When the last container ended, sidecars included; None when one has not."""
    sidecars = {item.name for item in pod.spec.initContainers if item.restartPolicy == "Always"}
    beside = [item for item in pod.status.initContainerStatuses if item.name in sidecars]
    moments = list(map(_ended, (*pod.status.containerStatuses, *beside)))
    if not pod.status.containerStatuses and not beside:
        return None
    known = [moment for moment in moments if moment is not None]
    return max(known) if len(known) == len(moments) else None


def _ended(container: ContainerStatus) -> float | None:
    ended = container.state.terminated
    return time.parse(ended.finishedAt) if ended is not None and ended.finishedAt else None

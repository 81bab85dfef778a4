"""What a DaemonSet needs next: pods created and deleted, by node, and its status. Pure.

In: the DaemonSet, all nodes, its pods, the hash of its template, the backoffs of nodes whose pods
fail, the time. Out: a ``Plan``. Pods that are missing or too many come first; only when there are
none the update goes on (``plan_update``). Called by ``reconcile``. Upstream: pkg/controller/daemon;
https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from trireme.api.apps.v1.daemonset import DaemonSet, DaemonSetStatus
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.workloads.daemonset import compute_backoff, compute_pods, plan_update
from trireme.controllers.workloads.daemonset.compute_backoff import Backoff
from trireme.controllers.workloads.daemonset.plan_update import Observed
from trireme.domain import pods

# Pods created, and pods deleted, in one step.
BURST = 250
NORMAL, WARNING = "Normal", "Warning"


class Plan(msgspec.Struct):
    """``create`` names nodes. ``events`` are type, reason and message. ``backoffs`` are those of
    nodes after the deletions; ``revisit``: seconds until the time alone may change the plan."""

    create: list[str]
    delete: list[Pod]
    events: list[tuple[str, str, str]]
    backoffs: dict[str, Backoff]
    status: DaemonSetStatus
    revisit: float | None = None


def plan(
    daemon_set: DaemonSet,
    nodes: Iterable[Node],
    owned: Sequence[Pod],
    revision: tuple[str, int],
    backoffs: Mapping[str, Backoff],
    now: float,
) -> Plan:
    """One step. ``revision``: the hash of the present template, and the count of collisions."""
    placement = compute_pods.Placement(daemon_set)
    fits = {node.metadata.name: placement.fit(node) for node in nodes}
    observed = Observed(daemon_set, _by_node(owned), fits, revision[0], now)
    found = Plan(
        create=[],
        delete=[],
        events=[],
        backoffs={n: b for n, b in backoffs.items() if not compute_backoff.is_over(b, now)},
        status=_status(observed, revision[1]),
    )
    for node in sorted(fits):
        _node(found, observed, node)
    found.delete += _without_node(observed)
    if not found.create and not found.delete:
        update = plan_update.plan(observed)
        found.create, found.delete = update.create, update.delete
    found.create, found.delete = found.create[:BURST], found.delete[:BURST]
    waits = [pods.available_in(pod, daemon_set.spec.minReadySeconds, now) for pod in owned]
    for wait in waits:
        if wait:
            _revisit(found, wait)
    return found


def _by_node(owned: Iterable[Pod]) -> dict[str, list[Pod]]:
    """The pods of each node; those that have ended and are being deleted are left to the node."""
    found: defaultdict[str, list[Pod]] = defaultdict(list)
    for pod in compute_pods.oldest_first(owned):
        ended = pods.is_finished(pod) and pod.metadata.deletionTimestamp is not None
        node = compute_pods.node_of(pod)
        if node and not ended:
            found[node].append(pod)
    return dict(found)


def _node(found: Plan, observed: Observed, node: str) -> None:
    fit, there = observed.fits[node], observed.by_node.get(node, [])
    if fit.runs and not there:
        found.create.append(node)
    elif fit.stays:
        running, waits = _running(found, observed, node, there)
        if not observed.surges:
            # All but the oldest are too many.
            found.delete += running[1:]
        elif not running:
            # Where a pod has just failed the next one would fail as well.
            found.create += [node] if fit.runs and not waits else []
        elif len(running) > 1:
            found.delete += _too_many(observed, running)
    else:
        found.delete += [pod for pod in there if pod.metadata.deletionTimestamp is None]


def _running(
    found: Plan, observed: Observed, node: str, there: Sequence[Pod]
) -> tuple[list[Pod], bool]:
    """The pods of a node that have not ended; those that have are deleted. Whether one has failed
    for which that is too soon."""
    running, waits = [], False
    for pod in there:
        if pod.metadata.deletionTimestamp is not None:
            continue
        place = f"daemon pod {pod.metadata.namespace}/{pod.metadata.name} on node {node}"
        if pod.status.phase == "Failed":
            backoff = found.backoffs.get(node)
            wait = compute_backoff.remaining(backoff, observed.now)
            if wait > 0:
                _revisit(found, wait)
                waits = True
                continue
            found.backoffs[node] = compute_backoff.after(backoff, observed.now)
            message = f"Found failed {place}, will try to kill it"
            found.events.append((WARNING, "FailedDaemonPod", message))
            found.delete.append(pod)
        elif pod.status.phase == "Succeeded":
            message = f"Found succeeded {place}, will try to delete it"
            found.events.append((NORMAL, "SucceededDaemonPod", message))
            found.delete.append(pod)
        else:
            running.append(pod)
    return running, waits


def _too_many(observed: Observed, running: list[Pod]) -> list[Pod]:
    """With a surge, an old and a new pod may be on a node, as long as the new one is not available
    and the old one is ready."""
    new = [pod for pod in running if pod.metadata.labels.get(compute_pods.HASH) == observed.hash]
    old = [pod for pod in running if pod not in new]
    surplus = new[1:] + old[1:]
    if new and old and (not pods.is_ready(old[0]) or observed.is_available(new[0])):
        surplus.append(old[0])
    return surplus


def _without_node(observed: Observed) -> list[Pod]:
    """Pods for nodes that are gone, and that no scheduler will bind any more."""
    return [
        pod
        for node, there in observed.by_node.items()
        if node not in observed.fits
        for pod in there
        if not pod.spec.nodeName and pod.metadata.deletionTimestamp is None
    ]


def _status(observed: Observed, collisions: int) -> DaemonSetStatus:
    daemon_set = observed.daemon_set
    desired = [node for node, fit in observed.fits.items() if fit.runs]
    first = [observed.by_node[node][0] for node in desired if node in observed.by_node]
    available = sum(map(observed.is_available, first))
    return msgspec.structs.replace(
        daemon_set.status,
        desiredNumberScheduled=len(desired),
        currentNumberScheduled=len(first),
        numberMisscheduled=sum(
            not fit.runs and node in observed.by_node for node, fit in observed.fits.items()
        ),
        numberReady=sum(map(pods.is_ready, first)),
        updatedNumberScheduled=sum(
            compute_pods.is_updated(daemon_set, pod, observed.hash) for pod in first
        ),
        numberAvailable=available,
        numberUnavailable=len(desired) - available,
        observedGeneration=max(
            daemon_set.metadata.generation, daemon_set.status.observedGeneration
        ),
        collisionCount=collisions or daemon_set.status.collisionCount,
    )


def _revisit(found: Plan, seconds: float) -> None:
    known = found.revisit
    found.revisit = seconds if known is None else min(known, seconds)

"""The rolling update of a DaemonSet: which old pods go, where new ones come beside them. Pure.

In: what there is on each node, one pod of each kind at most. Out: nodes and pods. Called by
``plan`` when nothing else is to be done. Upstream: pkg/controller/daemon/update;
https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from trireme.api.apps.v1.daemonset import DaemonSet
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.workloads.daemonset import compute_pods
from trireme.controllers.workloads.daemonset.compute_pods import Fit
from trireme.domain import pods


class Observed(msgspec.Struct, frozen=True):
    """What there is: the pods of each node, oldest first, and which nodes fit. ``hash`` is that of
    the present template."""

    daemon_set: DaemonSet
    by_node: Mapping[str, Sequence[Pod]]
    fits: Mapping[str, Fit]
    hash: str
    now: float

    @property
    def surges(self) -> bool:
        """Whether a node may have an old and a new pod."""
        return compute_pods.surge(self.daemon_set, 1) > 0

    def is_available(self, pod: Pod | None) -> bool:
        """Whether the pod is there and ready for long enough."""
        min_ready = self.daemon_set.spec.minReadySeconds
        return pod is not None and pods.is_available(pod, min_ready, self.now)


class Update(msgspec.Struct, frozen=True):
    """``create`` names nodes."""

    create: list[str]
    delete: list[Pod]


class _OnNode(msgspec.Struct, frozen=True):
    """The pods of a node that are not being deleted; ``excess``: there are several of a kind."""

    node: str
    new: Pod | None
    old: Pod | None
    excess: bool


def plan(observed: Observed) -> Update:
    """A step of the update; nothing where the pods are replaced by hand."""
    daemon_set = observed.daemon_set
    if daemon_set.spec.updateStrategy.type != "RollingUpdate":
        return Update([], [])
    desired = sum(fit.runs for fit in observed.fits.values())
    nodes = {node for node, fit in observed.fits.items() if fit.runs} | set(observed.by_node)
    states = [_state(observed, node) for node in sorted(nodes)]
    surge = compute_pods.surge(daemon_set, desired)
    if surge:
        return _surge(observed, states, surge, desired)
    return _replace(observed, states, compute_pods.max_unavailable(daemon_set, desired) or 1)


def _state(observed: Observed, node: str) -> _OnNode:
    new: list[Pod] = []
    old: list[Pod] = []
    for pod in observed.by_node.get(node, ()):
        if pod.metadata.deletionTimestamp is None:
            updated = compute_pods.is_updated(observed.daemon_set, pod, observed.hash)
            (new if updated else old).append(pod)
    excess = len(new) > 1 or len(old) > 1
    return _OnNode(node, new[0] if new else None, old[0] if old else None, excess)


def _replace(observed: Observed, states: Sequence[_OnNode], limit: int) -> Update:
    """Delete old pods: those that are not available, and so many of the others that no more than
    ``limit`` nodes are without an available pod."""
    unavailable, broken, candidates = 0, [], []
    for state in states:
        if state.excess or (state.new is None) == (state.old is None):
            unavailable += 1
        elif state.old is None:
            unavailable += not observed.is_available(state.new)
        elif observed.is_available(state.old):
            candidates.append(state.old)
        else:
            broken.append(state.old)
            unavailable += 1
    return Update([], broken + candidates[: max(0, limit - unavailable)])


def _surge(observed: Observed, states: Sequence[_OnNode], limit: int, desired: int) -> Update:
    """Create new pods beside old ones, on ``limit`` nodes at a time; an old one goes once the new
    one is available."""
    surging = available = 0
    delete: list[Pod] = []
    leaving: list[Pod] = []
    broken: list[str] = []
    candidates: list[str] = []
    for state in states:
        if state.excess:
            surging += 1
            continue
        available += observed.is_available(state.old or state.new)
        if state.old is None:
            continue
        if state.new is not None:
            if observed.is_available(state.new):
                delete.append(state.old)
            else:
                surging += 1
            continue
        fits = state.node in observed.fits and observed.fits[state.node].runs
        if observed.is_available(state.old):
            if fits:
                candidates.append(state.node)
            else:
                leaving.append(state.old)
        elif fits:
            broken.append(state.node)
        else:
            delete.append(state.old)
    # A pod on a node that no longer fits goes when another one has taken over.
    delete += leaving[: max(0, available - desired)]
    return Update(broken + candidates[: max(0, limit - surging)], delete)

"""What the pods that are there would violate once a namespace demands more: warnings, in bounds.

Upstream: pod-security-admission EvaluatePodsInNamespace: at most 3000 pods and one second.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.admission.pod_security import evaluate
from trireme.apiserver.admission.pod_security.levels import LevelVersion
from trireme.machinery import gotext

MOST = 3000
# Upstream's second is one of a thread of its own; here others wait.
SECONDS = 0.05


def warnings(
    namespace: str,
    demanded: LevelVersion,
    pods: Sequence[Pod],
    exempt: Collection[str],
    clock: Callable[[], float],
) -> list[str]:
    """One warning for each sort of violation, with the first pod's name and how many others."""
    selected = _prioritized(pods, exempt)
    until = clock() + SECONDS
    found: dict[str, list[str]] = {}
    checked = 0
    for pod in selected[:MOST]:
        checked += 1
        bad = evaluate.violations(demanded, pod.metadata, pod.spec)
        if bad:
            found.setdefault(evaluate.reason(bad), []).append(pod.metadata.name)
        if clock() > until:
            break
    texts: list[str] = []
    if checked < len(selected):
        texts.append(
            f"new PodSecurity enforce level only checked against the first {checked} of "
            f"{len(selected)} existing pods"
        )
    if found:
        texts.append(
            f"existing pods in namespace {gotext.quote(namespace)} violate the new PodSecurity "
            f"enforce level {gotext.quote(str(demanded))}"
        )
    return texts + sorted(_named(names, reason) for reason, names in found.items())


def _named(names: list[str], reason: str) -> str:
    others = len(names) - 1
    more = f" (and {others} other pod{'s' * (others > 1)})" if others else ""
    return f"{min(names)}{more}: {reason}"


def _prioritized(pods: Sequence[Pod], exempt: Collection[str]) -> list[Pod]:
    """One pod of each controller first: the others are mostly like it."""
    first: list[Pod] = []
    rest: list[Pod] = []
    observed: set[str] = set()
    for pod in pods:
        if pod.spec.runtimeClassName and pod.spec.runtimeClassName in exempt:
            continue
        owner = next((ref.uid for ref in pod.metadata.ownerReferences if ref.controller), None)
        if owner is not None and owner in observed:
            rest.append(pod)
            continue
        first.append(pod)
        if owner is not None:
            observed.add(owner)
    return first + rest

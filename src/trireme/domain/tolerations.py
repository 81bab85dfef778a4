"""Which taints a pod tolerates. Pure; for the scheduler, taint eviction and the kubelet.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.core.v1.selection import Taint, Toleration


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Whether one of the tolerations covers the taint."""
    return any(covers(item, taint) for item in tolerations)


def covers(toleration: Toleration, taint: Taint) -> bool:
    """Whether a toleration covers a taint: an empty effect or key stands for any."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    operator = toleration.operator or "Equal"
    if operator == "Exists":
        return True
    if operator in ("Gt", "Lt"):
        return _compare(toleration, taint, operator)
    return bool(toleration.key) and toleration.value == taint.value


def _compare(toleration: Toleration, taint: Taint, operator: str) -> bool:
    try:
        bound, value = int(toleration.value), int(taint.value)
    except ValueError:
        return False
    return value > bound if operator == "Gt" else value < bound

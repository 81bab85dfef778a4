"""All checks of a level and version on one pod. Pure.

Upstream: pod-security-admission ``policy/registry``.
"""

from __future__ import annotations

from functools import cache

from trireme.api.core.v1.pod.spec import PodSpec
from trireme.apiserver.admission.pod_security.checks import CHECKS, Check, Violation
from trireme.apiserver.admission.pod_security.levels import (
    BASELINE,
    PRIVILEGED,
    RESTRICTED,
    LevelVersion,
)
from trireme.machinery.meta import ObjectMeta

# From this version on nothing changes any more.
_NEWEST = max(since for entry in CHECKS.values() for since in entry.forms)


def violations(demanded: LevelVersion, meta: ObjectMeta, spec: PodSpec) -> list[Violation]:
    """What of the pod a level forbids."""
    if demanded.level == PRIVILEGED:
        return []
    checks = _checks(demanded.level, min(demanded.version, _NEWEST))
    return [found for check in checks if (found := check(meta, spec)) is not None]


def reason(found: list[Violation]) -> str:
    """``host namespaces, hostPort``."""
    return ", ".join(item.reason for item in found)


def detail(found: list[Violation]) -> str:
    """``host namespaces (hostPID=true), hostPort (...)``."""
    return ", ".join(
        f"{item.reason} ({item.detail})" if item.detail else item.reason for item in found
    )


@cache
def _checks(level: str, version: int) -> list[Check]:
    found = {
        name: next(
            entry.forms[since] for since in sorted(entry.forms, reverse=True) if since <= version
        )
        for name, entry in CHECKS.items()
        if entry.level in (BASELINE, level) and min(entry.forms) <= version
    }
    if level == RESTRICTED:
        for name, entry in CHECKS.items():
            if name in found:
                for overridden in entry.overrides:
                    found.pop(overridden, None)
    return list(found.values())

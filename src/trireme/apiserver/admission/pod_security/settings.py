"""PodSecurityConfiguration: what holds where a namespace says nothing, and who is exempt.

In: the decoded configuration. Out: ``Settings``. Upstream: pod-security-admission
``admission/api``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trireme.apiserver.admission.pod_security.levels import Policy


@dataclass(frozen=True)
class Settings:
    defaults: Policy = field(default_factory=Policy)
    usernames: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()

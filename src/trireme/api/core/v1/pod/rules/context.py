"""What the rules of a part of a pod need of the rest of it.

Made once for each validation by ``spec.validate``. Types only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trireme.api.core.v1.pod.volumes import Volume


@dataclass(slots=True)
class PodContext:
    """``is_pod``: a Pod itself, not a template. ``volumes``: those that are valid, by name.
    ``pod_name`` is empty where it is not known."""

    is_pod: bool
    grace: int | None
    restart_policy: str
    host_users: bool
    os: str = ""
    has_os: bool = False
    pod_name: str = ""
    volumes: dict[str, Volume] = field(default_factory=dict)
    claims: frozenset[str] = frozenset()

"""The settings of audit, and the types of its policy. Defaults: upstream's.

Upstream: apiserver ``pkg/apis/audit``, ``pkg/server/options/audit.go``;
https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from trireme.client.kubeconfig import Access
from trireme.machinery.configuration import Configuration

LEVELS = ("None", "Metadata", "Request", "RequestResponse")
STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
# Whether a request waits until its event is stored: no, yes, or it fails where that fails.
MODES = ("batch", "blocking", "blocking-strict")


class GroupResources(Configuration, frozen=True):
    group: str = ""
    resources: tuple[str, ...] = ()
    resourceNames: tuple[str, ...] = ()


class PolicyRule(Configuration, frozen=True):
    level: str = ""
    users: tuple[str, ...] = ()
    userGroups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    nonResourceURLs: tuple[str, ...] = ()
    omitStages: tuple[str, ...] = ()
    omitManagedFields: bool | None = None


class Policy(Configuration, frozen=True):
    metadata: dict[str, object] = {}
    rules: tuple[PolicyRule, ...] = ()
    omitStages: tuple[str, ...] = ()
    omitManagedFields: bool = False


@dataclass(frozen=True)
class Batch:
    """``wait``: seconds after which what there is is sent. ``qps`` 0: as fast as it goes."""

    buffer: int = 10_000
    size: int = 400
    wait: float = 30.0
    qps: float = 10.0
    burst: int = 15


@dataclass(frozen=True)
class Truncation:
    """Bytes that an event, and a batch, may have; beyond, objects are left out."""

    event: int = 100 * 1024
    batch: int = 10 * 1024 * 1024


@dataclass(frozen=True)
class LogSettings:
    """A file, ``None`` for standard output. ``max_size`` is in MB, ``max_age`` in days; 0: no
    limit."""

    path: Path | None
    legacy: bool = False
    mode: str = "blocking"
    max_age: int = 366
    max_backups: int = 100
    max_size: int = 100
    compress: bool = False
    batch: Batch = field(default_factory=lambda: Batch(size=1, qps=0.0))
    truncation: Truncation | None = None


@dataclass(frozen=True)
class WebhookSettings:
    """``backoff``: seconds before the first repetition."""

    access: Access
    mode: str = "batch"
    backoff: float = 10.0
    batch: Batch = field(default_factory=Batch)
    truncation: Truncation | None = None


@dataclass(frozen=True)
class Audit:
    """Without a policy, or without anywhere to write, nothing is audited."""

    policy: Policy | None = None
    log: LogSettings | None = None
    webhook: WebhookSettings | None = None

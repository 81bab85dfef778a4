"""Flags of the API server's audit. Upstream: apiserver ``pkg/server/options/audit.go``."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trireme.cluster import flag_kinds as kinds
from trireme.cluster.apiserver_flags import Area
from trireme.cluster.flags import Flag, Groups, Kind, Refused, Row

if TYPE_CHECKING:
    from trireme.apiserver.config import ApiServerConfig
    from trireme.apiserver.settings.audit import Batch, Policy, Truncation, WebhookSettings

_MODES: Final = ("batch", "blocking", "blocking-strict")


def _target(text: str) -> Path:
    if text == "-":
        return Path("-")
    path = Path(text).absolute()
    if "\0" in text or "\n" in text or path.is_dir() or not text:
        raise ValueError("must be the path of a file, or -")
    return path


_TARGET: Final = Kind("target", _target, lambda value: "" if value is None else str(value))


@dataclass(frozen=True)
class Backend:
    """What the flags of one backend say."""

    mode: str
    buffer: int = 10_000
    size: int = 400
    wait: float = 30.0
    throttle: bool = True
    qps: float = 10.0
    burst: int = 15
    truncates: bool = False
    event_size: int = 102_400
    batch_size: int = 10_485_760


@dataclass(frozen=True)
class Options:
    policy: Path | None = None
    path: Path | None = None
    legacy: bool = False
    max_age: int = 366
    max_backups: int = 100
    max_size: int = 100
    compress: bool = False
    webhook: Path | None = None
    backoff: float = 10.0
    log_backend: Backend = field(
        default_factory=lambda: Backend(
            "blocking", size=1, wait=0.0, throttle=False, qps=0, burst=0
        )
    )
    webhook_backend: Backend = field(default_factory=lambda: Backend("batch"))


def _of(name: str, to: str) -> tuple[Row, ...]:
    """The flags that both backends have."""

    def flag(rest: str, setting: str, kind: Kind, help: str) -> Flag:
        return Flag(f"audit-{name}-{rest}", f"{to}.{setting}", kind, help)

    return (
        flag(
            "mode",
            "mode",
            kinds.one_of({mode: mode for mode in _MODES}),
            "Whether a request waits until its event is stored, and fails where that fails.",
        ),
        flag("batch-buffer-size", "buffer", kinds.count(1), "Events that wait at most."),
        flag("batch-max-size", "size", kinds.count(1), "Events that are stored at a time."),
        flag("batch-max-wait", "wait", kinds.duration(), "How long a batch waits to be full."),
        flag("batch-throttle-enable", "throttle", kinds.BOOL, "Limit how many are stored."),
        flag("batch-throttle-qps", "qps", kinds.NUMBER, "Batches in a second, on average."),
        flag("batch-throttle-burst", "burst", kinds.count(), "Batches at once."),
        flag("truncate-enabled", "truncates", kinds.BOOL, "Leave out objects that are too large."),
        flag("truncate-max-event-size", "event_size", kinds.count(1), "Bytes of an event."),
        flag("truncate-max-batch-size", "batch_size", kinds.count(1), "Bytes of a batch."),
        Refused(f"audit-{name}-version", "there is one version", ("audit.k8s.io/v1",)),
    )


_GROUPS: Final[Groups] = {
    "Auditing": (
        Flag(
            "audit-policy-file",
            "policy",
            kinds.FILE,
            "A file of kind Policy of audit.k8s.io/v1: what is written of which request.",
        ),
        Flag("audit-log-path", "path", _TARGET, "The file to write to; - is standard output."),
        Flag(
            "audit-log-format",
            "legacy",
            kinds.one_of({"json": False, "legacy": True}),
            "The form of its lines.",
        ),
        Flag("audit-log-maxage", "max_age", kinds.count(), "Days that old files are kept."),
        Flag("audit-log-maxbackup", "max_backups", kinds.count(), "How many are kept."),
        Flag("audit-log-maxsize", "max_size", kinds.count(), "MB after which a new one begins."),
        Flag("audit-log-compress", "compress", kinds.BOOL, "Compress old ones with gzip."),
        Flag(
            "audit-webhook-config-file",
            "webhook",
            kinds.FILE,
            "A kubeconfig: the server that events are sent to.",
        ),
        Flag(
            "audit-webhook-initial-backoff",
            "backoff",
            kinds.duration(),
            "How long to wait before what has failed is sent again.",
        ),
        *_of("log", "log_backend"),
        *_of("webhook", "webhook_backend"),
    ),
}


def _configure(options: Options, config: ApiServerConfig) -> ApiServerConfig:
    from trireme.apiserver.settings.audit import Audit, LogSettings

    if options == Options():
        return config
    log = None
    if options.path is not None:
        log = LogSettings(
            path=None if options.path == Path("-") else options.path,
            legacy=options.legacy,
            mode=options.log_backend.mode,
            max_age=options.max_age,
            max_backups=options.max_backups,
            max_size=options.max_size,
            compress=options.compress,
            batch=_batch(options.log_backend),
            truncation=_truncation(options.log_backend, "log"),
        )
    audit = Audit(_policy(options), log, _webhook(options))
    return dataclasses.replace(config, audit=audit)


def _policy(options: Options) -> Policy | None:
    from trireme.apiserver.audit import policy

    if options.policy is None:
        return None
    try:
        return policy.decode(options.policy.read_bytes())
    except (ValueError, OSError) as error:
        raise ValueError(f"--audit-policy-file: {options.policy}: {error}") from None


def _webhook(options: Options) -> WebhookSettings | None:
    from trireme.apiserver.settings.audit import WebhookSettings
    from trireme.client import kubeconfig

    if options.webhook is None:
        return None
    try:
        access = kubeconfig.load(options.webhook)
    except kubeconfig.KubeconfigError as error:
        raise ValueError(f"--audit-webhook-config-file: {error}") from None
    backend = options.webhook_backend
    return WebhookSettings(
        access, backend.mode, options.backoff, _batch(backend), _truncation(backend, "webhook")
    )


def _batch(backend: Backend) -> Batch:
    from trireme.apiserver.settings.audit import Batch

    values: dict[str, Any] = {"qps": backend.qps if backend.throttle else 0.0}
    return Batch(backend.buffer, backend.size, backend.wait, burst=backend.burst, **values)


def _truncation(backend: Backend, name: str) -> Truncation | None:
    from trireme.apiserver.settings.audit import Truncation

    if not backend.truncates:
        return None
    if backend.event_size > backend.batch_size:
        raise ValueError(
            f"--audit-{name}-truncate-max-batch-size ({backend.batch_size}) must be greater than or"
            f" equal to --audit-{name}-truncate-max-event-size ({backend.event_size})"
        )
    return Truncation(backend.event_size, backend.batch_size)


AREA: Final = Area(_GROUPS, Options(), _configure)

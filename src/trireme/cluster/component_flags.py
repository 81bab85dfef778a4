"""The flags that components of the control plane share: rows for ``flags``, and their settings.

In: nothing. Out: ``Component``, the settings with the defaults of one component, and rows for its
command. Used by the commands that stand for kube-scheduler, the autoscaler and the controller
managers. Upstream: component-base, controller-manager/options and apiserver/pkg/server/options.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trireme.cluster import flag_kinds as kinds
from trireme.cluster.flags import Flag, Refused, Row
from trireme.runtime.election import LeaderElection
from trireme.runtime.serving.config import DelegatedAuth, SecureServing


@dataclass(frozen=True, kw_only=True)
class Component:
    """``qps`` and ``burst`` limit the requests of each client; 0 is no limit. ``verbosity`` of 4
    and more logs what is for debugging. ``gates``: feature gates that were set."""

    kubeconfig: Path | None = None
    master: str = ""
    qps: float = 0.0
    burst: int = 0
    verbosity: int = 0
    gates: tuple[tuple[str, bool], ...] = ()
    disabled_metrics: tuple[str, ...] = ()
    election: LeaderElection
    serving: SecureServing
    auth: DelegatedAuth = field(default_factory=DelegatedAuth)


@dataclass(frozen=True, kw_only=True)
class Manager:
    """A component that runs controllers: ``controllers`` says which, in the words of upstream's
    flag. Each starts after a random part of ``start_interval``, up to twice as long; caches call
    their handlers anew after ``min_resync``, up to twice as long."""

    component: Component
    controllers: tuple[str, ...] = ("*",)
    start_interval: float = 0.0
    min_resync: float = 12 * 3600.0
    use_service_account_credentials: bool = False


@dataclass(frozen=True, kw_only=True)
class CloudManager(Manager):
    """One with a cloud's provider. ``cloud_config``: the provider's own file."""

    cloud_provider: str = ""
    cloud_config: Path | None = None


def of(name: str, port: int) -> Component:
    """The defaults of the component with the lease ``name``."""
    return Component(election=LeaderElection(name=name), serving=SecureServing(port=port))


_SUITE: Final = kinds.matching(
    "cipher", "TLS_[A-Z0-9_]+_WITH_[A-Z0-9_]+", "must be a cipher suite as IANA names it"
)
_ABSOLUTE: Final = kinds.matching("path", r"/[!-~]*", "must begin with /")
_METRIC: Final = kinds.matching("metric", "[a-zA-Z_:][a-zA-Z0-9_:]*", "must be a metric's name")
_GO: Final = "of Go's runtime; there is nothing like it here"
_NONE_HIDDEN: Final = "no metric is hidden"
_PLAIN_LOG: Final = "the log is text on standard error, each line written at once"

VERSIONS: Final[Sequence[Row]] = (
    Refused("emulated-version", "there is v1.36 only", ("1.36", "kube=1.36")),
    Refused("min-compatibility-version", "there is v1.36 only", ("1.36", "kube=1.36")),
)
GATES: Final = Flag(
    "feature-gates",
    "component.gates",
    kinds.mapping("gates", kinds.BOOL),
    "Feature gates, as NAME=true or kube:NAME=false; one that cannot be set so is refused.",
)


def rate(prefix: str) -> Sequence[Row]:
    """The limits of a client's requests."""
    return (
        Flag(
            f"{prefix}-qps",
            "component.qps",
            kinds.NUMBER,
            "Requests per second of each client, on average; 0: no limit.",
        ),
        Flag(
            f"{prefix}-burst", "component.burst", kinds.count(), "Requests of each client at once."
        ),
    )


CLIENT: Final[Sequence[Row]] = (
    *rate("kube-api"),
    Refused(
        "kube-api-content-type",
        "JSON is what is read and written fastest here",
        ("application/json",),
    ),
)
ELECTION: Final[Sequence[Row]] = (
    Flag(
        "leader-elect",
        "component.election.elect",
        kinds.BOOL,
        "Run only while holding a Lease, so that of several copies one works.",
    ),
    Flag(
        "leader-elect-lease-duration",
        "component.election.lease_duration",
        kinds.duration(1.0),
        "How long a leader that is not heard of keeps the lease.",
    ),
    Flag(
        "leader-elect-renew-deadline",
        "component.election.renew_deadline",
        kinds.duration(0.001),
        "How long the leader tries to renew it before it stops.",
    ),
    Flag(
        "leader-elect-retry-period",
        "component.election.retry_period",
        kinds.duration(0.001),
        "How long to wait between two tries.",
    ),
    Refused("leader-elect-resource-lock", "a Lease is the only lock", ("leases",)),
    Flag(
        "leader-elect-resource-name",
        "component.election.name",
        kinds.NAME,
        "The name of the Lease.",
    ),
    Flag(
        "leader-elect-resource-namespace",
        "component.election.namespace",
        kinds.NAME,
        "The namespace of the Lease.",
    ),
)
MANAGER: Final[Sequence[Row]] = (
    Flag(
        "controller-start-interval",
        "start_interval",
        kinds.duration(),
        "Each controller starts this much later, up to twice as much, at random.",
    ),
    Flag(
        "controllers",
        "controllers",
        kinds.several(
            kinds.matching(
                "string", r"\*|-?[a-z][a-z0-9-]*", "must be *, a controller, or -controller"
            )
        ),
        "Which controllers run: * all that are on by default, foo this one, -foo not.",
    ),
    GATES,
    *CLIENT,
    *ELECTION,
    Flag(
        "min-resync-period",
        "min_resync",
        kinds.duration(),
        "Caches call their handlers anew after once to twice as long; 0: never.",
    ),
    Flag(
        "use-service-account-credentials",
        "use_service_account_credentials",
        kinds.BOOL,
        "Each controller writes as its own service account; false: as the kubeconfig's user.",
    ),
)
CLOUD: Final[Sequence[Row]] = (
    Flag(
        "cloud-provider",
        "cloud_provider",
        kinds.matching(
            "provider", r"[A-Za-z_][\w.-]*(:[A-Za-z_]\w*)?", "must be MODULE:FUNCTION or a name"
        ),
        "MODULE:FUNCTION, or the name of an installed one.",
    ),
    Flag("cloud-config", "cloud_config", kinds.FILE, "The provider's own file."),
)
SERVING: Final[Sequence[Row]] = (
    Flag("bind-address", "component.serving.address", kinds.ADDRESS, "Where HTTPS is served."),
    Flag(
        "secure-port",
        "component.serving.port",
        kinds.count(0, 65535),
        "The port of HTTPS; 0: nothing is served.",
    ),
    Flag(
        "cert-dir",
        "component.serving.cert_dir",
        kinds.matching("folder", r"[^\0\n]+", "must be a path"),
        "Where a certificate of one's own is kept; without it, it is kept in memory.",
    ),
    Flag("tls-cert-file", "component.serving.certificate", kinds.CERTIFICATES, "Its certificate."),
    Flag(
        "tls-private-key-file", "component.serving.key", kinds.PRIVATE_KEY, "The certificate's key."
    ),
    Flag(
        "tls-min-version",
        "component.serving.min_version",
        kinds.one_of(
            {"VersionTLS12": ssl.TLSVersion.TLSv1_2, "VersionTLS13": ssl.TLSVersion.TLSv1_3}
        ),
        "The oldest version of TLS.",
    ),
    Flag(
        "tls-cipher-suites",
        "component.serving.cipher_suites",
        kinds.several(_SUITE),
        "The cipher suites of TLS 1.2; without any, those of the library.",
    ),
    Refused("permit-address-sharing", "addresses are always shared so", ("true",)),
    Flag("permit-port-sharing", "component.serving.reuse_port", kinds.BOOL, "Use SO_REUSEPORT."),
    Refused("disable-http2-serving", "HTTP/1.1 is what is served", ("true",)),
    Refused("http2-max-streams-per-connection", "HTTP/1.1 is what is served", ("0",)),
    Refused("tls-curve-preferences", "the curves are the library's"),
    Refused("tls-sni-cert-key", "one certificate is served"),
)
_PROXIED: Final = "no proxy in front says who a client is"
AUTHENTICATION: Final[Sequence[Row]] = (
    Flag(
        "authentication-kubeconfig",
        "component.auth.authentication_kubeconfig",
        kinds.FILE,
        "Who asks the API server whose a token is; without it, whoever has one is anonymous.",
    ),
    Flag(
        "authentication-skip-lookup",
        "component.auth.skip_lookup",
        kinds.BOOL,
        "Do not look up the authority of clients' certificates in the cluster.",
    ),
    Flag(
        "authentication-tolerate-lookup-failure",
        "component.auth.tolerate_lookup_failure",
        kinds.BOOL,
        "Where that look-up fails, take no certificates, rather than not to start.",
    ),
    Flag(
        "authentication-token-webhook-cache-ttl",
        "component.auth.token_ttl",
        kinds.duration(),
        "How long the answer about a token is kept.",
    ),
    Flag(
        "client-ca-file",
        "component.auth.client_authority",
        kinds.CERTIFICATES,
        "The authority of clients' certificates.",
    ),
    Refused("requestheader-allowed-names", _PROXIED),
    Refused("requestheader-client-ca-file", _PROXIED),
    Refused("requestheader-extra-headers-prefix", _PROXIED),
    Refused("requestheader-group-headers", _PROXIED),
    Refused("requestheader-uid-headers", _PROXIED),
    Refused("requestheader-username-headers", _PROXIED),
)
AUTHORIZATION: Final[Sequence[Row]] = (
    Flag(
        "authorization-always-allow-paths",
        "component.auth.always_allow",
        kinds.several(_ABSOLUTE),
        "Paths that everybody may get; a * at the end stands for all below.",
    ),
    Flag(
        "authorization-kubeconfig",
        "component.auth.authorization_kubeconfig",
        kinds.FILE,
        "Who asks the API server what a client may; without it, only those paths may be got.",
    ),
    Flag(
        "authorization-webhook-cache-authorized-ttl",
        "component.auth.allowed_ttl",
        kinds.duration(),
        "How long a yes is kept.",
    ),
    Flag(
        "authorization-webhook-cache-unauthorized-ttl",
        "component.auth.denied_ttl",
        kinds.duration(),
        "How long a no is kept.",
    ),
)
DEBUGGING: Final[Sequence[Row]] = (
    Refused("contention-profiling", _GO, ("false",)),
    Refused("profiling", _GO, ("false",)),
)
METRICS: Final[Sequence[Row]] = (
    Flag(
        "disabled-metrics",
        "component.disabled_metrics",
        kinds.several(_METRIC),
        "Metrics that are not served.",
    ),
    Refused("allow-metric-labels", "no label's values are limited"),
    Refused("allow-metric-labels-manifest", "no label's values are limited"),
    Refused("show-hidden-metrics-for-version", _NONE_HIDDEN),
)
LOGS: Final[Sequence[Row]] = (
    Flag(
        "v",
        "component.verbosity",
        kinds.count(0, 10),
        "The log's verbosity; from 4 on, debugging.",
        short="v",
    ),
    Refused("log-flush-frequency", _PLAIN_LOG),
    Refused("log-json-info-buffer-size", _PLAIN_LOG),
    Refused("log-json-split-stream", _PLAIN_LOG, ("false",)),
    Refused("log-text-info-buffer-size", _PLAIN_LOG),
    Refused("log-text-split-stream", _PLAIN_LOG, ("false",)),
    Refused("logging-format", _PLAIN_LOG, ("text",)),
    Refused("vmodule", "verbosity is the same for all files"),
)
KUBECONFIG: Final = Flag(
    "kubeconfig",
    "component.kubeconfig",
    kinds.FILE,
    "Where the API server is, and who this component is there.",
    environment="KUBECONFIG",
)
MASTER: Final = Flag(
    "master",
    "component.master",
    kinds.matching("url", r"https?://[^\s/]+(/\S*)?", "must be an http or https URL"),
    "The API server's URL, instead of the kubeconfig's.",
)

"""Flags of upstream's API server about how it serves, logs and is built: those that act, and those
that are refused, each with the reason."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from trireme.cluster import flag_kinds as kinds
from trireme.cluster.apiserver_flags import Area
from trireme.cluster.flags import Flag, Groups, Refused

if TYPE_CHECKING:
    from trireme.apiserver.config import ApiServerConfig


@dataclass(frozen=True)
class Options:
    profiling: bool = True


_HERE: Final = (
    "where it serves, and with which certificate, is said by --listen, --port and the keys"
)
_KEYS: Final = "the keys for kubelets are the cluster's own"
_NETWORK: Final = "the cluster's own setting: 'trireme up' has an option for it"
_LOG: Final = "the log is text, a line for each event, written at once"
_ALPHA: Final = "alpha in upstream, and not here"
_PEERS: Final = (
    "API servers do not pass requests on to each other (gate UnknownVersionInteroperabilityProxy)"
)
_VERSIONS: Final = "one version of Kubernetes is served: 1.36"
_PROTOCOL: Final = "HTTP/1.1 is spoken, as many connections as clients open"
_METRICS: Final = "every metric is shown, none is hidden or limited"
_GROUPS: Final[Groups] = {
    "Features": (
        Flag("profiling", "profiling", kinds.BOOL, "Whether /debug/pprof is served."),
        Refused("contention-profiling", "Python has no profile of locks", ("false",)),
        Refused("debug-socket-path", "profiles are at /debug/pprof alone"),
    ),
    "Secure serving": (
        Refused("bind-address", _HERE),
        Refused("secure-port", _HERE),
        Refused("cert-dir", _HERE),
        Refused("tls-cert-file", _HERE),
        Refused("tls-private-key-file", _HERE),
        Refused("tls-sni-cert-key", _HERE),
        Refused("tls-cipher-suites", "OpenSSL's own choice for TLS 1.2 and 1.3 holds"),
        Refused("tls-curve-preferences", "OpenSSL's own choice holds"),
        Refused("tls-min-version", "it is TLS 1.2", ("VersionTLS12",)),
        Refused("external-hostname", _HERE),
        Refused("advertise-address", "it is the first address of --listen"),
        Refused("permit-address-sharing", "addresses are not shared", ("false",)),
        Refused("permit-port-sharing", "ports are not shared", ("false",)),
        Refused("disable-http2-serving", _PROTOCOL, ("true",)),
        Refused("http2-max-streams-per-connection", _PROTOCOL),
        Refused("goaway-chance", _PROTOCOL, ("0",)),
        Refused("max-connection-bytes-per-sec", _PROTOCOL, ("0",)),
    ),
    "Generic serving": (
        Refused("cors-allowed-origins", "browsers of other origins are not let in"),
        Refused("strict-transport-security-directives", "the header is not sent"),
        Refused("livez-grace-period", "there is none", ("0s", "0")),
        Refused("min-request-timeout", "watches last 1800 seconds, up to twice", ("1800",)),
        Refused("storage-initialization-timeout", "a store that cannot be opened ends the start"),
        Refused("send-retry-after-while-not-ready-once", _ALPHA, ("false",)),
        Refused("shutdown-send-retry-after", "connections are closed at the end", ("false",)),
        Refused(
            "shutdown-watch-termination-grace-period", "watches end with the server", ("0s", "0")
        ),
        Refused("allow-privileged", "it is allowed: Pod Security refuses it", ("true",)),
        Refused("enable-garbage-collector", "controllers do it, if they run", ("true",)),
        Refused("delete-collection-workers", "one deletes, in turn", ("1",)),
        Refused("event-ttl", "events are kept for an hour", ("1h0m0s", "1h")),
        Refused("endpoint-reconciler-type", "it is by leases", ("lease",)),
        Refused("default-not-ready-toleration-seconds", "it is 300", ("300",)),
        Refused("default-unreachable-toleration-seconds", "it is 300", ("300",)),
        Refused("admission-control", "it has gone: use --enable-admission-plugins"),
    ),
    "Cluster": (
        Refused("service-cluster-ip-range", _NETWORK),
        Refused("service-node-port-range", "it is 30000-32767", ("30000-32767",)),
        Refused("kubernetes-service-node-port", "the Service has no node port", ("0",)),
        Refused("kubelet-certificate-authority", _KEYS),
        Refused("kubelet-client-certificate", _KEYS),
        Refused("kubelet-client-key", _KEYS),
        Refused(
            "kubelet-preferred-address-types",
            "upstream's order holds",
            ("Hostname,InternalDNS,InternalIP,ExternalDNS,ExternalIP",),
        ),
        Refused("kubelet-timeout", "it is 5 seconds", ("5s",)),
        Refused("egress-selector-config-file", "kubelets and Services are dialled directly"),
        Refused("peer-advertise-ip", _PEERS),
        Refused("peer-advertise-port", _PEERS),
        Refused("peer-ca-file", _PEERS),
        Refused("coordinated-leadership-lease-duration", _ALPHA, ("15s",)),
        Refused("coordinated-leadership-renew-deadline", _ALPHA, ("10s",)),
        Refused("coordinated-leadership-retry-period", _ALPHA, ("2s",)),
        Refused("tracing-config-file", "spans are not sent yet"),
    ),
    "Versions": (
        Refused("emulated-version", _VERSIONS, ("1.36", "kube=1.36")),
        Refused("min-compatibility-version", _VERSIONS),
        Refused("emulation-forward-compatible", _VERSIONS, ("false",)),
        Refused("runtime-config-emulation-forward-compatible", _VERSIONS, ("false",)),
    ),
    "Logs": (
        Refused("enable-logs-handler", "logs are files, not a page", ("false",)),
        Refused("log-flush-frequency", _LOG),
        Refused("log-json-info-buffer-size", _LOG),
        Refused("log-json-split-stream", _LOG, ("false",)),
        Refused("log-text-info-buffer-size", _LOG),
        Refused("log-text-split-stream", _LOG, ("false",)),
        Refused("logging-format", _LOG, ("text",)),
        Refused("vmodule", _LOG),
    ),
    "Metrics": (
        Refused("allow-metric-labels", _METRICS),
        Refused("allow-metric-labels-manifest", _METRICS),
        Refused("disabled-metrics", _METRICS),
        Refused("show-hidden-metrics-for-version", _METRICS),
    ),
}


def _configure(options: Options, config: ApiServerConfig) -> ApiServerConfig:
    return dataclasses.replace(config, profiling=options.profiling)


AREA: Final = Area(_GROUPS, Options(), _configure)

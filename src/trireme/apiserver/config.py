"""The configuration of an API server. Nothing here is read from argv or files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trireme.apiserver.nodes.contract import KubeletAccess, Kubelets
from trireme.apiserver.settings.aggregator import AggregatorSettings
from trireme.kit.pki import Pair
from trireme.store.contract import Store

VERSION = "v1.36.2"


@dataclass(frozen=True)
class ServiceAccountKeys:
    """How service-account tokens are signed and checked: PEM keys, and who issues."""

    signing_key: bytes
    issuer: str = "https://kubernetes.default.svc.cluster.local"
    # Public keys that are accepted besides the signing key's own (key rotation).
    public_keys: tuple[bytes, ...] = ()
    audiences: tuple[str, ...] = ()

    @property
    def accepted_audiences(self) -> tuple[str, ...]:
        return self.audiences or (self.issuer,)


@dataclass(frozen=True)
class ApiServerConfig:
    """One API server. Addresses are (host, port); port 0 picks a free one."""

    store: Store
    service_accounts: ServiceAccountKeys
    listen: tuple[tuple[str, int], ...] = ()
    # Serving certificate and the authority of client certificates; both are needed to listen.
    serving: Pair | None = None
    client_authority: bytes = b""
    kubelets: KubeletAccess | None = None
    # Another way to kubelets than HTTPS: those in the same process.
    kubelet_transport: Kubelets | None = None
    aggregator: AggregatorSettings = field(default_factory=AggregatorSettings)
    # Tokens that never expire: token -> (user, uid, groups); upstream's --token-auth-file.
    static_tokens: dict[str, tuple[str, str, tuple[str, ...]]] = field(default_factory=dict)
    anonymous: bool = True
    # --enable-bootstrap-token-auth.
    bootstrap_tokens: bool = False
    service_cidr: str = "10.96.0.0/12"
    node_ports: tuple[int, int] = (30000, 32767)
    # The address that Service default/kubernetes leads to.
    advertise: tuple[str, int] | None = None
    compaction_interval: float = 300.0
    # --etcd-healthcheck-timeout and --etcd-readycheck-timeout, of the store's checks.
    healthcheck_timeout: float = 2.0
    readycheck_timeout: float = 2.0
    # --max-requests-inflight and --max-mutating-requests-inflight; 0: no limit.
    max_in_flight: int = 400
    max_mutating_in_flight: int = 200
    # Creations of what Trireme does not act on yet say so; not where other controllers run.
    warn_unimplemented: bool = False
    # How many processes may be forked at a time for requests that take long; 0: the server answers
    # all itself.
    forks: int = 0
    # --feature-gates: name -> on.
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    # --runtime-config: api/all, api/ga, api/beta, api/alpha, <group>/<version>[/<resource>] -> on.
    runtime_config: Mapping[str, bool] = field(default_factory=dict)

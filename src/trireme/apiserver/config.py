"""The configuration of an API server. Nothing here is read from argv or files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trireme.apiserver.nodes.contract import KubeletAccess, Kubelets
from trireme.apiserver.settings.admission import Admission
from trireme.apiserver.settings.aggregator import AggregatorSettings
from trireme.apiserver.settings.audit import Audit
from trireme.apiserver.settings.authentication import Authentication
from trireme.apiserver.settings.authorization import Authorization
from trireme.apiserver.settings.encryption import EncryptionSettings
from trireme.apiserver.settings.fairness import FairnessSettings
from trireme.apiserver.settings.signing import TokenSigner
from trireme.kit.env import Env
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
    # Issuers that are accepted besides (a change of the issuer).
    other_issuers: tuple[str, ...] = ()
    # Where others find the keys, if not here.
    jwks_uri: str = ""
    # Makes the signer elsewhere that is used instead of keys.
    signer: Callable[[Env], TokenSigner] | None = None
    # Whether the tokens that every pod gets hold for a year.
    extend_expiration: bool = True
    # Seconds; tokens are not made for longer. 0: no limit.
    max_expiration: int = 0

    @property
    def issuers(self) -> tuple[str, ...]:
        return (self.issuer, *self.other_issuers)

    @property
    def accepted_audiences(self) -> tuple[str, ...]:
        return self.audiences or self.issuers


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
    # Whether this server serves metrics.k8s.io, from what kubelets say; not where a metrics server
    # does, which an APIService names.
    resource_metrics: bool = False
    aggregator: AggregatorSettings = field(default_factory=AggregatorSettings)
    # Reads the authority of client certificates again; None where it never changes.
    read_client_authority: Callable[[], bytes] | None = None
    authentication: Authentication = field(default_factory=Authentication)
    authorization: Authorization = field(default_factory=Authorization)
    audit: Audit = field(default_factory=Audit)
    admission: Admission = field(default_factory=Admission)
    service_cidr: str = "10.96.0.0/12"
    node_ports: tuple[int, int] = (30000, 32767)
    # The address that Service default/kubernetes leads to.
    advertise: tuple[str, int] | None = None
    encryption: EncryptionSettings = field(default_factory=EncryptionSettings)
    # What this server is called among several, and the host that it runs on.
    identity: str = ""
    hostname: str = ""
    compaction_interval: float = 300.0
    # --shutdown-delay-duration, in seconds: so long it serves on, not ready, when it is to end.
    shutdown_delay: float = 0.0
    # --etcd-healthcheck-timeout and --etcd-readycheck-timeout, of the store's checks.
    healthcheck_timeout: float = 2.0
    readycheck_timeout: float = 2.0
    # --max-requests-inflight and --max-mutating-requests-inflight; 0: no limit.
    max_in_flight: int = 400
    max_mutating_in_flight: int = 200
    fairness: FairnessSettings = field(default_factory=FairnessSettings)
    # Creations of what Trireme does not act on yet say so; not where other controllers run.
    warn_unimplemented: bool = False
    # How many processes may be forked at a time for requests that take long; 0: the server answers
    # all itself.
    forks: int = 0
    # Whether /debug/pprof is served.
    profiling: bool = True
    # --feature-gates: name -> on.
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    # --runtime-config: api/all, api/ga, api/beta, api/alpha, <group>/<version>[/<resource>] -> on.
    runtime_config: Mapping[str, bool] = field(default_factory=dict)
    # All flags and their values, for /flagz.
    flags: Mapping[str, str] = field(default_factory=dict)

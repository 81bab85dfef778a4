"""Flags of the API server's store in etcd."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from trireme.cluster import flag_kinds as kinds
from trireme.cluster.apiserver_flags import Area
from trireme.cluster.flags import Flag, Groups, Kind, Refused

if TYPE_CHECKING:
    from trireme.apiserver.config import ApiServerConfig


_PREFIX: Final = kinds.matching("path", r"/?[!-~]+", "must be printable ASCII")
# Events in the cache, where nobody compacts.
HISTORY = 200_000


@dataclass(frozen=True)
class Options:
    servers: tuple[str, ...] = ()
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    prefix: str = "/registry"
    compaction_interval: float = 300.0
    healthcheck_timeout: float = 2.0
    readycheck_timeout: float = 2.0
    lease_reuse: int = 60


def _server(text: str) -> str:
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise ValueError("must be http://HOST:PORT or https://HOST:PORT")
    return f"{parts.scheme}://{parts.netloc}"


_GROUPS: Final[Groups] = {
    "Etcd": (
        Flag(
            "etcd-servers",
            "servers",
            kinds.several(Kind("url", _server)),
            "The members of etcd, as http or https URLs with commas between; without: --datastore.",
        ),
        Flag("etcd-cafile", "authority", kinds.FILE, "Who signs the certificates of the members."),
        Flag("etcd-certfile", "certificate", kinds.FILE, "The certificate to show to etcd."),
        Flag("etcd-keyfile", "key", kinds.FILE, "The private key of --etcd-certfile."),
        Flag("etcd-prefix", "prefix", _PREFIX, "What all keys in etcd begin with."),
        Flag(
            "etcd-compaction-interval",
            "compaction_interval",
            kinds.duration(),
            "How often the history is compacted; 0: not at all.",
        ),
        Flag(
            "etcd-healthcheck-timeout",
            "healthcheck_timeout",
            kinds.duration(),
            "How long the store may take to answer /livez and /healthz.",
        ),
        Flag(
            "etcd-readycheck-timeout",
            "readycheck_timeout",
            kinds.duration(),
            "How long the store may take to answer /readyz.",
        ),
        Flag(
            "lease-reuse-duration-seconds",
            "lease_reuse",
            kinds.count(),
            "How long a lease in etcd is used for further keys.",
        ),
        Refused("etcd-servers-overrides", "all resources are in one etcd"),
        Refused("storage-backend", "there is one form of etcd's API", ("etcd3",)),
        Refused(
            "storage-media-type",
            "objects are stored as JSON (docs/decisions/etcd.md)",
            ("application/json",),
        ),
        Refused("watch-cache", "reads always come from the cache", ("true",)),
        Refused("default-watch-cache-size", "the cache has everything since the compaction"),
        Refused("watch-cache-sizes", "the cache has everything since the compaction"),
        Refused("etcd-count-metric-poll-period", "objects are counted in the cache"),
        Refused("etcd-db-metric-poll-interval", "etcd has metrics of its own"),
    ),
}


def _configure(options: Options, config: ApiServerConfig) -> ApiServerConfig:
    config = dataclasses.replace(
        config,
        compaction_interval=options.compaction_interval,
        healthcheck_timeout=options.healthcheck_timeout,
        readycheck_timeout=options.readycheck_timeout,
    )
    if not options.servers:
        return config
    if (options.certificate is None) != (options.key is None):
        raise ValueError("--etcd-certfile and --etcd-keyfile: one is nothing without the other")
    from trireme import api
    from trireme.api.catalog import Catalog
    from trireme.apiserver.storage.codec import ObjectCodec
    from trireme.store.etcd import EtcdConfig, EtcdStore, Tls

    def tls() -> Tls | None:
        files = (options.authority, options.certificate, options.key)
        if not any(files):
            return None
        return Tls(*(b"" if path is None else path.read_bytes() for path in files))

    codec = ObjectCodec(Catalog.of(api).resources, options.prefix)
    etcd = EtcdConfig(options.servers, tls, lease_reuse=options.lease_reuse)
    return dataclasses.replace(config, store=EtcdStore(etcd, codec=codec, history=HISTORY))


AREA: Final = Area(_GROUPS, Options(), _configure)

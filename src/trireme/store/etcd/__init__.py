"""The engine for several API servers: etcd v3 over gRPC, with a watch cache in front of it.

``store`` is the engine, ``members`` the connections with failover, ``leases`` those of keys that
expire, ``messages`` the requests.
"""

from trireme.store.etcd.members import EtcdConfig, Tls
from trireme.store.etcd.store import EtcdStore

__all__ = ["EtcdConfig", "EtcdStore", "Tls"]

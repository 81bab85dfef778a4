"""The settings of a local cluster, and the paths of its files. Saved as JSON in its state folder,
for a later ``up``, ``status`` and ``down``.
"""

from __future__ import annotations

import contextlib
import ipaddress
from pathlib import Path

import msgspec

from trireme.cluster.hosts.names import cluster as check_name
from trireme.cluster.hosts.plan import POD_NETWORK, SERVICE_NETWORK, NodePlan, Places

DEFAULT_NAME = "trireme"
DOMAIN = "cluster.local"
# What providerIDs begin with.
PROVIDER = "trireme"
FAILED = ".failed"
_FILE = "cluster.json"


class BadSetting(ValueError):
    """An invalid setting; the text has the rule."""


class NodeSettings(msgspec.Struct, frozen=True):
    """The settings of the components on one node. ``dns``: the addresses of its pods' DNS servers,
    where none runs on the node itself."""

    name: str
    ip: str
    pod_cidr: str
    netns_path: str
    containerd_socket: str
    cgroup: str
    cgroup_parent: str
    state_dir: str
    run_dir: str
    log_dir: str
    dns: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """A local cluster. ``listen`` are the API server's addresses; the first is the host's own."""

    name: str
    state_dir: str
    run_dir: str
    # "memory", "sqlite:PATH" or "etcd": members of its own.
    datastore: str
    port: int
    # Of the controllers' health and metrics on loopback; the scheduler's is two more. 0: none.
    component_port: int = 0
    listen: tuple[str, ...] = ("127.0.0.1",)
    # The addresses of the API servers, where there are several: ``listen`` leads to any of them.
    servers: tuple[str, ...] = ()
    # The ports of etcd's members for clients and for each other, on loopback.
    etcd_ports: tuple[tuple[int, int], ...] = ()
    nodes: tuple[NodeSettings, ...] = ()
    # With more than ``nodes`` the cluster autoscaler makes and deletes further ones.
    max_nodes: int = 0
    # Seconds.
    unneeded_time: float = 600.0
    pod_network: str = POD_NETWORK
    service_network: str = SERVICE_NETWORK
    # Networks beyond the host that nodes and pods may reach.
    outside: tuple[str, ...] = ()
    # Flags of the API server, each as NAME=VALUE (``apiserver_flags``).
    kube_apiserver_args: tuple[str, ...] = ()

    def with_node(self, node: NodePlan) -> Settings:
        """The settings for the components of a node that joined later, the last of ``nodes``."""
        # Three are as many as a pod may have.
        servers = tuple(one.ip for one in self.nodes[:3])
        joined = msgspec.structs.replace(of(node), dns=servers)
        return msgspec.structs.replace(self, nodes=(*self.nodes, joined))

    @property
    def scales(self) -> bool:
        """Whether there is a node group."""
        return self.max_nodes > len(self.nodes)

    @property
    def service_ip(self) -> str:
        """The address of the Service ``kubernetes``: the first of the network."""
        return str(ipaddress.ip_network(self.service_network)[1])

    @property
    def dns_address(self) -> str:
        """The address of the Service ``kube-dns``."""
        return dns_address_in(self.service_network)

    @property
    def pki_dir(self) -> Path:
        return Path(self.state_dir, "pki")

    def kubelet_key(self, node: str) -> Path:
        """The key of a node's kubelet: the last that is made for a node."""
        return self.pki_dir / f"kubelet.{node}.key"

    @property
    def storage_dir(self) -> Path:
        """The volumes of the class ``local-path``."""
        return Path(self.state_dir, "storage")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return Path(self.state_dir, "kubeconfig")

    @property
    def ready_dir(self) -> Path:
        """A file appears here for each component that has started."""
        return Path(self.run_dir, "ready")

    @property
    def finished_file(self) -> Path:
        """There once ``up`` has come to its end, as long as these processes run."""
        return self.ready_dir / "up"

    @property
    def api(self) -> str:
        """The component that answers on ``listen``."""
        return "front" if self.servers else "apiserver"

    @property
    def control_planes(self) -> int:
        """How many API servers, controllers and schedulers there are."""
        return len(self.servers) or 1

    def mark(self, component: str) -> Path:
        """There once the component has started."""
        return self.ready_dir / component

    def failure(self, component: str) -> Path:
        """The error for which the component could not start, for a user."""
        return self.ready_dir / f"{component}{FAILED}"

    def heartbeat(self, component: str) -> Path:
        """The heartbeat of the process (``heartbeat``)."""
        return Path(self.run_dir, "heartbeats", component)

    @property
    def records_dir(self) -> str:
        """The records of all processes, for ``status`` and ``down``."""
        return str(Path(self.run_dir, "processes"))

    def provider_id(self, node: str) -> str:
        """What the Node of that name has as its providerID."""
        return f"{PROVIDER}://{self.name}/{node}"

    def url(self, host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}"

    def log_file(self, component: str) -> str:
        """Where a component logs; ``kubelet.node-0`` is a node's."""
        part, dot, node = component.partition(".")
        for item in self.nodes:
            if dot and item.name == node:
                return str(Path(item.log_dir, f"{part}.log"))
        return str(Path(self.state_dir, "logs", f"{component}.log"))


def of(node: NodePlan) -> NodeSettings:
    """The settings of a planned node."""
    return NodeSettings(
        name=node.name,
        ip=node.ip,
        pod_cidr=node.pod_cidr,
        netns_path=node.netns_path,
        containerd_socket=node.containerd_socket,
        cgroup=node.cgroup,
        cgroup_parent=node.cgroup_parent,
        state_dir=node.state_dir,
        run_dir=node.run_dir,
        log_dir=node.log_dir,
    )


def dns_address_in(service_network: str) -> str:
    """The address of the Service ``kube-dns`` in a network: the tenth, as kubeadm has it."""
    return str(ipaddress.ip_network(service_network)[10])


def check_local_datastore(text: str) -> str:
    """The datastore of a cluster, which may have members of etcd of its own."""
    return text if text == "etcd" else check_datastore(text, " or 'etcd'")


def check_datastore(text: str, more: str = "") -> str:
    """The datastore setting, checked: ``memory`` or ``sqlite:PATH``."""
    kind, colon, path = text.partition(":")
    if text == "memory" or (kind == "sqlite" and colon and path):
        return text
    raise BadSetting(f"datastore {text!r}: must be 'memory' or 'sqlite:PATH'{more}")


def save(settings: Settings) -> None:
    """Write the settings atomically."""
    folder = Path(settings.state_dir)
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / f"{_FILE}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(settings)))
    new.rename(folder / _FILE)


def ports(places: Places) -> set[int]:
    """The ports of all clusters that are there, whether they run or not."""
    found = set()
    for path in Path(places.state).glob(f"*/{_FILE}"):
        # Removed meanwhile, or written by an older version: no port to reserve.
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            kept = msgspec.json.decode(path.read_bytes(), type=Settings)
            found |= {kept.port, kept.component_port} - {0}
            found |= {port for pair in kept.etcd_ports for port in pair}
    return found


def load(name: str, places: Places) -> Settings | None:
    """The settings of a cluster that was started earlier; None when there is none."""
    path = Path(places.state, check_name(name), _FILE)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except FileNotFoundError:
        return None

"""The keys of a local cluster: one authority, a certificate for each component, kubeconfigs.

In: settings and the present time. Out: files below ``<state>/pki``, made once and kept as long as
their subject and names are as desired. Identities are upstream's, so that the bootstrap RBAC roles
fit: https://kubernetes.io/docs/setup/best-practices/certificates/.
"""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from trireme.cluster.settings import DOMAIN, NodeSettings, Settings
from trireme.kit import pki
from trireme.kit.pki import Pair

ADMIN = "kubernetes-admin"
# The API server binds the groups of its certificate for kubelets to what it may do there.
KUBELET_CLIENTS = "trireme:kubelet-clients"
# As kubeadm names them.
FRONT_PROXY_AUTHORITY = "front-proxy-ca"
FRONT_PROXY = "front-proxy-client"
_SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    f"kubernetes.default.svc.{DOMAIN}",
)


class Keys:
    """The files of a cluster's keys. ``make`` and ``make_controllers`` create what is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def authority_file(self) -> Path:
        return self._folder / "ca.crt"

    def authority(self) -> Pair:
        return self.pair("ca")

    def pair(self, name: str) -> Pair:
        """A certificate and its key, by file name."""
        return Pair(
            (self._folder / f"{name}.crt").read_bytes(), (self._folder / f"{name}.key").read_bytes()
        )

    def signing_key(self) -> bytes:
        """The private key of service-account tokens."""
        return (self._folder / "sa.key").read_bytes()

    def make(self, settings: Settings, now: float) -> None:
        """Create every missing key."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self._folder / "sa.key").exists():
            _write(self._folder / "sa.key", pki.new_key(), secret=True)
        if not (self._folder / "ca.key").exists():
            self._keep("ca", pki.new_authority("kubernetes", now))
        addresses = (
            "localhost",
            *settings.listen,
            *settings.servers,
            settings.service_ip,
            *_SERVICE_NAMES,
        )
        self._issue("apiserver", "kube-apiserver", now, names=addresses, server=True)
        self._issue("admin", ADMIN, now, groups=("system:masters",))
        self._make_front_proxy(now)
        if settings.etcd_ports:
            self._make_etcd(now)
        client = "kube-apiserver-kubelet-client"
        self._issue("apiserver-kubelet-client", client, now, groups=(KUBELET_CLIENTS,))
        self._issue("controllers", "system:kube-controller-manager", now)
        self._issue("scheduler", "system:kube-scheduler", now)
        if settings.component_port:
            names = ("localhost", "127.0.0.1")
            self._issue("components", "localhost", now, names=names, server=True)
        for node in settings.nodes:
            self._issue(f"dns.{node.name}", "system:serviceaccount:kube-system:coredns", now)
            self.make_node(node, now)

    def _make_front_proxy(self, now: float) -> None:
        """The identity that aggregated API servers know the API server by. Its authority is one of
        its own: whoever has a client certificate of the cluster's is no front proxy."""
        if not (self._folder / f"{FRONT_PROXY_AUTHORITY}.key").exists():
            self._keep(FRONT_PROXY_AUTHORITY, pki.new_authority(FRONT_PROXY_AUTHORITY, now))
        self._issue(FRONT_PROXY, FRONT_PROXY, now, authority=FRONT_PROXY_AUTHORITY)

    def _make_etcd(self, now: float) -> None:
        """etcd's own authority, as kubeadm has it: who has a certificate of it may do all there."""
        authority, names = "etcd-ca", ("localhost", "127.0.0.1")
        if not (self._folder / f"{authority}.key").exists():
            self._keep(authority, pki.new_authority(authority, now))
        self._issue("etcd-server", "etcd", now, names=names, server=True, authority=authority)
        self._issue("etcd-client", "kube-apiserver-etcd-client", now, authority=authority)

    def make_node(self, node: NodeSettings, now: float) -> None:
        """Create the keys of a node's components, the kubelet's last."""
        self._issue(f"proxy.{node.name}", "system:kube-proxy", now)
        self._issue(
            f"kubelet.{node.name}",
            f"system:node:{node.name}",
            now,
            groups=("system:nodes",),
            names=(node.name, node.ip),
            server=True,
        )

    def remove_node(self, name: str) -> None:
        """Remove the keys of a node that is gone."""
        for part in ("kubelet", "proxy"):
            for kind in ("key", "crt"):
                (self._folder / f"{part}.{name}.{kind}").unlink(missing_ok=True)

    def make_controllers(self, now: float) -> None:
        """Create the certificates of the controllers' service accounts. Apart from ``make``, as it
        imports all controllers for their names."""
        for controller in controller_accounts():
            self._issue(
                controller_file(controller),
                f"system:serviceaccount:kube-system:{controller}",
                now,
                groups=("system:serviceaccounts", "system:serviceaccounts:kube-system"),
            )

    def kubeconfig(self, settings: Settings, name: str, server: str) -> str:
        """A kubeconfig that carries everything inside, as YAML."""
        pair = self.pair(name)
        cluster = {
            "server": server,
            "certificate-authority-data": _text(self.authority_file.read_bytes()),
        }
        user = {
            "client-certificate-data": _text(pair.certificate),
            "client-key-data": _text(pair.key),
        }
        context = f"trireme-{settings.name}"
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": context, "cluster": cluster}],
                "users": [{"name": context, "user": user}],
                "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
                "current-context": context,
            },
            sort_keys=False,
        )

    def _issue(
        self,
        name: str,
        user: str,
        now: float,
        *,
        groups: tuple[str, ...] = (),
        names: tuple[str, ...] = (),
        server: bool = False,
        authority: str = "ca",
    ) -> None:
        if (self._folder / f"{name}.key").exists():
            kept = (self._folder / f"{name}.crt").read_bytes()
            # An earlier version may have made it with another subject or other addresses.
            if pki.is_for(kept, user, organizations=groups, names=names):
                return
        signer = self.pair(authority)
        pair = pki.issue(signer, user, now, organizations=groups, names=names, server=server)
        self._keep(name, pair)

    def _keep(self, name: str, pair: Pair) -> None:
        # The key last: its file means that the pair is complete.
        _write(self._folder / f"{name}.crt", pair.certificate)
        _write(self._folder / f"{name}.key", pair.key, secret=True)


def controller_accounts() -> list[str]:
    """The service accounts that the controllers of a local cluster act as."""
    # Only here: they import all controllers.
    from trireme.cluster import cloud_controllers, local_path
    from trireme.controllers import manager

    found = {*manager.identities(), *cloud_controllers.accounts(), local_path.ACCOUNT}
    return sorted(found)


def controller_file(name: str) -> str:
    """The name of the certificate with which a controller is its own service account."""
    return f"controller-{name}"


def _write(path: Path, content: bytes, *, secret: bool = False) -> None:
    new = path.with_name(path.name + ".new")
    new.touch(0o600 if secret else 0o644)
    new.write_bytes(content)
    new.rename(path)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()

"""What ``up`` chooses reaches every component: the networks, ports and addresses of one plan."""

from __future__ import annotations

import asyncio
import importlib
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from trireme.cluster import access, addons, compose, kubelets, provision
from trireme.cluster.hosts import plan
from trireme.cluster.hosts.plan import Places
from trireme.cluster.pki import Keys
from trireme.cluster.settings import Settings
from trireme.cluster.up import UpOptions


@pytest.fixture
def selected(tmp_path: Path) -> tuple[plan.HostsPlan, Settings]:
    """A plan on a host that uses the default networks for something else, and its settings."""
    places = Places(state=str(tmp_path / "state"), run=str(tmp_path / "run"))
    made = plan.make(
        "busy",
        2,
        taken=[plan.POD_NETWORK],
        places=places,
        service_network="10.50.0.0/16",
    )
    assert made.pod_network != plan.POD_NETWORK
    wish = UpOptions(name="busy", datastore="memory")
    return made, provision._settings(wish, None, places, 7443, made)


def given_to(monkeypatch: pytest.MonkeyPatch, module: str, main: Any) -> Any:
    """The configuration that a component's main hands to the component."""
    observed = []

    async def run(config: Any, *_: Any) -> None:
        observed.append(config)

    @asynccontextmanager
    async def client(*_: Any) -> Any:
        yield None

    monkeypatch.setattr(importlib.import_module(module), "run", run)
    monkeypatch.setattr(access, "client", client)
    asyncio.run(main(lambda: None))
    (config,) = observed
    return config


def test_the_proxy(selected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made, cluster = selected
    node = cluster.nodes[1]
    config = given_to(monkeypatch, "trireme.proxy.run", compose.proxy(cluster, node))
    # What comes from elsewhere than the pod network is masqueraded.
    assert config.pod_cidrs == (made.pod_network,)
    assert config.service_cidrs == (made.service_network,)
    assert config.node_ips == (made.nodes[1].ip,)


def test_the_kubelet(selected: Any) -> None:
    made, cluster = selected
    config = kubelets.config(cluster, cluster.nodes[0])
    assert config.cluster_dns == ("10.50.0.10",)
    assert config.node_ips == (made.nodes[0].ip,)
    assert config.cgroup_parent == made.nodes[0].cgroup_parent


def test_the_api_server_and_its_certificate(selected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made, cluster = selected
    keys = Keys(cluster.pki_dir)
    keys.make(cluster, 1_900_000_000.0)
    config = given_to(monkeypatch, "trireme.apiserver.run", compose.api_server(cluster))
    assert config.service_cidr == made.service_network
    assert config.listen == (("127.0.0.1", 7443), (made.host_ip, 7443))
    assert config.advertise == (made.host_ip, 7443)
    certificate = x509.load_pem_x509_certificate(keys.pair("apiserver").certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert {"127.0.0.1", made.host_ip, "10.50.0.1"} <= addresses


def test_dns(selected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made, cluster = selected
    main = compose.dns(cluster, cluster.nodes[0], ())
    assert given_to(monkeypatch, "trireme.dns.run", main).domain == "cluster.local"
    assert addons.dns_service(cluster).spec.clusterIP == "10.50.0.10"
    endpoints = addons.dns_endpoints(cluster).endpoints
    assert [item.addresses for item in endpoints] == [[node.ip] for node in made.nodes]


def test_every_node_is_as_planned(selected: Any) -> None:
    made, cluster = selected
    assert [node.pod_cidr for node in cluster.nodes] == [node.pod_cidr for node in made.nodes]
    assert [node.netns_path for node in cluster.nodes] == [n.netns_path for n in made.nodes]


def test_without_nodes_the_defaults_hold(tmp_path: Path) -> None:
    places = Places(state=str(tmp_path), run=str(tmp_path))
    cluster = provision._settings(UpOptions(datastore="memory"), None, places, 6443, None)
    assert (cluster.listen, cluster.nodes) == (("127.0.0.1",), ())
    assert (cluster.service_ip, cluster.dns_address) == ("10.96.0.1", "10.96.0.10")

"""Host names, DNS and the names of images."""

from __future__ import annotations

import pytest
from tests.kubelet.harness import pod

from trireme.api.core import v1 as core
from trireme.kubelet.cri import model
from trireme.kubelet.images import names
from trireme.kubelet.network import dns, hosts


def test_host_names_and_hosts_file() -> None:
    of = pod(
        "web-0",
        hostname="h",
        subdomain="sub",
        hostAliases=[core.HostAlias(ip="1.2.3.4", hostnames=["a", "b"])],
    )
    assert hosts.hostname_and_domain(of, "cluster.local") == ("h", "sub.default.svc.cluster.local")
    text = hosts.hosts_file(["10.0.0.1"], "h", "sub.default.svc.cluster.local", of.spec.hostAliases)
    assert "10.0.0.1\th.sub.default.svc.cluster.local\th\n" in text
    assert text.endswith("# Entries added by HostAliases.\n1.2.3.4\ta\tb\n")
    assert len(hosts.hostname_and_domain(pod("x" * 62 + "-y"), "c")[0]) == 62
    of = pod("p", hostnameOverride="a" * 62 + ".b", subdomain="s")
    assert hosts.hostname_and_domain(of, "c") == ("a" * 62, "")


NODE_DNS = dns.NodeDNS(
    model.DNSConfig(servers=["9.9.9.9"], searches=["example.org"]), ("10.96.0.10",), "cluster.local"
)


@pytest.mark.parametrize(
    ("policy", "host_network", "servers", "searches"),
    [
        ("ClusterFirst", False, ["10.96.0.10"], 4),
        ("ClusterFirst", True, ["9.9.9.9"], 1),
        ("ClusterFirstWithHostNet", True, ["10.96.0.10"], 4),
        ("Default", False, ["9.9.9.9"], 1),
        ("None", False, [], 0),
    ],
)
def test_dns_policies(policy: str, host_network: bool, servers: list, searches: int) -> None:
    of = pod("web", hostNetwork=host_network)
    of.spec.dnsPolicy = policy
    found, _ = dns.pod_dns(of, NODE_DNS)
    assert found.servers == servers
    assert len(found.searches) == searches


def test_dns_config_is_added_and_limited() -> None:
    of = pod(
        "web",
        dnsConfig=core.PodDNSConfig(
            nameservers=["1.1.1.1", "2.2.2.2", "3.3.3.3"],
            searches=["x.org"],
            options=[
                core.PodDNSConfigOption(name="ndots", value="2"),
                core.PodDNSConfigOption(name="edns0"),
            ],
        ),
    )
    found, warnings = dns.pod_dns(of, NODE_DNS)
    assert found.servers == ["10.96.0.10", "1.1.1.1", "2.2.2.2"]
    assert found.options == ["ndots:2", "edns0"]
    assert "Nameserver limits were exceeded" in warnings[0]


def test_image_names() -> None:
    assert names.with_tag("busybox") == "busybox:latest"
    assert names.with_tag("localhost:5000/a") == "localhost:5000/a:latest"
    assert names.parse("quay.io/a/b:v1").repository == "quay.io/a/b"
    with pytest.raises(ValueError, match="must be lowercase"):
        names.parse("Bad")

"""Addresses: the same each time, and never those that the host uses already."""

import ipaddress

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from trireme.cluster.hosts import plan


def networks(made: plan.HostsPlan) -> list[ipaddress.IPv4Network]:
    texts = (made.underlay, made.pod_network, made.service_network)
    return [ipaddress.IPv4Network(text) for text in texts]


def test_a_plan_of_two_nodes():
    made = plan.make("dev", 2)
    assert made.pod_network == "10.244.0.0/16"
    assert [node.pod_cidr for node in made.nodes] == ["10.244.0.0/24", "10.244.1.0/24"]
    assert made.host_ip.endswith(".1")
    assert [node.ip.rpartition(".")[2] for node in made.nodes] == ["2", "3"]
    first = made.nodes[0]
    assert first.name == "node-0"
    assert first.netns_path == "/run/trireme/dev/netns/node-0"
    assert first.cgroup_parent == "/trireme-dev/node-0/kubepods"
    assert first.containerd_socket == "/run/trireme/dev/node-0/containerd.sock"
    assert plan.make("dev", 2) == made


def test_a_second_cluster_gets_networks_of_its_own():
    one = plan.make("one", 3)
    two = plan.make("two", 3, taken=[one.underlay, *(node.pod_cidr for node in one.nodes)])
    for network in (two.underlay, two.pod_network):
        for used in (one.underlay, one.pod_network):
            assert not ipaddress.IPv4Network(network).overlaps(ipaddress.IPv4Network(used))
    assert two.service_network == one.service_network


TAKEN = st.lists(
    st.builds(
        lambda address, prefix: str(ipaddress.IPv4Network((address, prefix), strict=False)),
        st.one_of(
            st.integers(0x0A000000, 0x0AFFFFFF),
            st.integers(0xAC1C0000, 0xAC1DFFFF),
        ),
        st.integers(14, 32),
    ),
    max_size=12,
)


@given(TAKEN, st.integers(1, 200))
def test_no_network_overlaps_another_or_one_in_use(taken, nodes):
    try:
        made = plan.make("dev", nodes, taken=taken)
    except plan.NoNetworkLeft:
        # Few of the hosts that are drawn are full; with too many Hypothesis fails.
        reject()
    mine = networks(made)
    used = [ipaddress.IPv4Network(text) for text in taken]
    for index, network in enumerate(mine):
        assert not any(network.overlaps(other) for other in mine[index + 1 :])
    for network in mine[:2]:
        assert not any(network.overlaps(other) for other in used)
    assert len({node.ip for node in made.nodes} | {made.host_ip}) == nodes + 1
    assert all(ipaddress.IPv4Address(node.ip) in mine[0] for node in made.nodes)
    assert len({node.pod_cidr for node in made.nodes}) == nodes


def test_the_default_route_takes_nothing():
    assert plan.make("dev", 1, taken=["0.0.0.0/0"]) == plan.make("dev", 1)


def test_a_full_host_is_told():
    with pytest.raises(plan.NoNetworkLeft, match="no free private network"):
        plan.make("dev", 1, taken=["10.0.0.0/8", "172.16.0.0/12"])


@pytest.mark.parametrize("nodes", [0, -1, 201])
def test_a_bad_number_of_nodes(nodes):
    with pytest.raises(ValueError, match="between 1 and 200"):
        plan.make("dev", nodes)


def test_sockets_are_short_enough_for_the_kernel():
    made = plan.make("x" * 32, 200)
    assert all(len(f"{node.containerd_socket}.ttrpc") < 108 for node in made.nodes)

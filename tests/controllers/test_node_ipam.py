"""Pod networks of nodes, out of the cluster's."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controllers import harness
from trireme.api.core import v1 as core
from trireme.controllers.nodes import plan_ipam
from trireme.controllers.nodes.plan_ipam import CIDRSet
from trireme.controllers.settings import NodeIPAM, Settings
from trireme.testing import virtual


def network(text: str) -> plan_ipam.Network:
    return ip_network(text)


def test_parts_come_one_after_the_other_and_those_given_back_last():
    made = CIDRSet(network("10.0.0.0/22"), 24)
    assert [str(made.allocate()) for _ in range(3)] == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
    made.release(network("10.0.0.0/24"))
    assert [str(made.allocate()) for _ in range(2)] == ["10.0.3.0/24", "10.0.0.0/24"]
    with pytest.raises(plan_ipam.Full):
        made.allocate()


@pytest.mark.parametrize(
    ("cluster", "size", "taken", "first"),
    [
        ("10.0.0.0/16", 24, "10.0.0.0/23", "10.0.2.0/24"),
        ("10.0.0.0/16", 24, "10.0.0.128/25", "10.0.1.0/24"),
        ("10.0.0.0/16", 24, "10.0.1.0/24", "10.0.0.0/24"),
        ("10.0.0.0/16", 24, "10.0.0.0/8", None),
        ("10.0.0.0/24", 24, "10.0.0.5/32", None),
        ("fd00::/48", 64, "fd00::/63", "fd00:0:0:2::/64"),
    ],
)
def test_what_is_taken_already(cluster, size, taken, first):
    made = CIDRSet(network(cluster), size)
    made.occupy(network(taken))
    if first is None:
        with pytest.raises(plan_ipam.Full):
            made.allocate()
    else:
        assert str(made.allocate()) == first


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=40))
def test_no_part_is_given_twice(steps):
    whole = network("10.0.0.0/21")
    parts = list(whole.subnets(new_prefix=24))
    made, free = CIDRSet(whole, 24), set(parts)
    for allocates, position in steps:
        if not allocates:
            made.release(parts[position])
            free.add(parts[position])
        elif free:
            found = made.allocate()
            assert found in free
            free.remove(found)
        else:
            with pytest.raises(plan_ipam.Full):
                made.allocate()


@pytest.mark.parametrize(
    ("clusters", "sizes", "text"),
    [
        (["10.0.0.0/24"], {"mask_size": 16}, "less than or equal"),
        (["10.0.0.0/24"], {"mask_size": 64}, "less than or equal"),
        (["fd00::/32"], {}, "too big"),
        (["10.0.0.0/16", "fd00::/56"], {"mask_size": 24}, "dual-stack"),
        (["10.0.0.0/16", "10.1.0.0/16"], {}, "each IP family"),
        (["10.0.0.0/16"], {"mask_size": 24, "mask_size_ipv4": 24}, "if --node-cidr-mask-size is"),
        (["10.0.0.0/16"], {"mask_size_ipv6": 64}, "for a single-stack IPv4 cluster"),
        (["fd00::/56"], {"mask_size_ipv4": 24}, "for a single-stack IPv6 cluster"),
    ],
)
def test_settings_that_cannot_be(clusters, sizes, text):
    with pytest.raises(ValueError, match=text):
        plan_ipam.make_sets(NodeIPAM(cluster_cidrs=tuple(clusters), **sizes))


@pytest.mark.parametrize(
    ("clusters", "sizes", "expected"),
    [
        (["10.0.0.0/16"], {}, ["10.0.0.0/24"]),
        (["10.0.0.0/16"], {"mask_size": 26}, ["10.0.0.0/26"]),
        (["10.0.0.0/16"], {"mask_size_ipv4": 25}, ["10.0.0.0/25"]),
        (["fd00::/56", "10.0.0.0/16"], {}, ["fd00::/64", "10.0.0.0/24"]),
        (
            ["10.0.0.0/16", "fd00::/56"],
            {"mask_size_ipv4": 20, "mask_size_ipv6": 62},
            ["10.0.0.0/20", "fd00::/62"],
        ),
    ],
)
def test_the_size_of_a_part_is_that_of_its_family(clusters, sizes, expected):
    made = plan_ipam.make_sets(NodeIPAM(cluster_cidrs=tuple(clusters), **sizes))
    assert [str(item.allocate()) for item in made] == expected


def test_addresses_of_services_are_left_out():
    settings = NodeIPAM(cluster_cidrs=("10.0.0.0/16",), service_cidrs=("10.0.0.0/20", "fd00::/112"))
    (made,) = plan_ipam.make_sets(settings)
    assert str(made.allocate()) == "10.0.16.0/24"


def settings(*clusters: str, size: int = 0) -> Settings:
    return Settings(root_ca="PEM", node_ipam=NodeIPAM(cluster_cidrs=clusters, mask_size=size))


@virtual.test()
async def test_nodes_get_networks_and_give_them_back(env):
    made = settings("10.0.0.0/23", "fd00::/56")
    async with harness.world(env, plays="", settings=made) as w:

        def cidrs(name: str) -> list[str]:
            spec = w.get(core.Node, name, "").spec
            assert spec.podCIDR == (spec.podCIDRs or [""])[0]
            return spec.podCIDRs

        await w.node("a")
        await w.node("b")
        await w.until(lambda: cidrs("a") and cidrs("b"))
        assert cidrs("a") == ["10.0.0.0/24", "fd00::/64"]
        assert cidrs("b") == ["10.0.1.0/24", "fd00:0:0:1::/64"]
        await w.node("c")
        await w.until(lambda: "CIDRNotAvailable" in w.reasons("c"))
        assert "Node c status is now: CIDRNotAvailable" in w.messages("c")
        await w.client.delete(core.Node, "a")
        await w.until(lambda: cidrs("c"), 1100)
        # What the failed try took of the second network was given back.
        assert cidrs("c")[0] == "10.0.0.0/24"
        assert len({text for node in ("b", "c") for text in cidrs(node)}) == 4
        await w.stop_controllers()
        await w.client.delete(core.Node, "b")
        await w.start_controllers()
        await w.node("d")
        await w.until(lambda: cidrs("d"))
        assert cidrs("d")[0] == "10.0.1.0/24"


@virtual.test()
async def test_a_node_that_has_a_network_keeps_it(env):
    async with harness.world(env, plays="", settings=settings("10.0.0.0/16")) as w:
        await w.stop_controllers()
        await w.node("a")
        change = {"spec": {"podCIDR": "10.0.0.0/24", "podCIDRs": ["10.0.0.0/24"]}}
        await w.client.patch(core.Node, "a", None, change, "strategic")
        await w.node("odd")
        odd = {"spec": {"podCIDR": "192.0.2.0/24", "podCIDRs": ["192.0.2.0/24"]}}
        await w.client.patch(core.Node, "odd", None, odd, "strategic")
        await w.start_controllers()
        await w.node("b")
        await w.until(lambda: w.get(core.Node, "b", "").spec.podCIDRs)
        assert w.get(core.Node, "b", "").spec.podCIDRs == ["10.0.1.0/24"]
        assert w.get(core.Node, "odd", "").spec.podCIDRs == ["192.0.2.0/24"]


@virtual.test()
async def test_without_a_cluster_network_nobody_gets_one(env):
    async with harness.world(env, plays="") as w:
        await w.node("a")
        await env.clock.sleep(30)
        assert w.get(core.Node, "a", "").spec.podCIDRs == []

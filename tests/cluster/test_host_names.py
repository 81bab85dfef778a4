"""Marks: short enough for the kernel, and never those of another cluster."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.cluster.hosts import names

CLUSTERS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", fullmatch=True)


@pytest.mark.parametrize("name", ["dev", "a", "0", "a-node-1", "x" * 32])
def test_good_cluster_names(name):
    assert names.cluster(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a/b", "..", "a b", "x" * 33, "ä"])
def test_bad_cluster_names_are_refused_with_the_rule(name):
    with pytest.raises(ValueError, match="lower case letters"):
        names.cluster(name)


@given(CLUSTERS)
def test_a_link_fits_the_kernel(cluster):
    assert len(names.host_link(cluster)) <= 15


@given(CLUSTERS, CLUSTERS, st.integers(0, 199))
def test_a_pod_network_belongs_to_one_cluster(mine, other, index):
    network = names.cni_network(mine, index)
    assert names.is_cni_network(mine, network)
    assert names.is_cni_network(other, network) == (other == mine)


def test_names_that_look_like_other_names():
    assert names.is_cni_network("a-node-1", names.cni_network("a-node-1", 0))
    assert not names.is_cni_network("a", names.cni_network("a-node-1", 0))
    for foreign in ("cni-1234", "trireme", "trireme-a", "my-trireme-a-node-0"):
        assert not names.is_cni_network("a", foreign)

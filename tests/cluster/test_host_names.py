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
def test_a_namespace_belongs_to_one_cluster(mine, other, index):
    for netns in (names.netns(mine, index), names.switch(mine)):
        assert names.is_netns(mine, netns)
        assert names.is_netns(other, netns) == (other == mine)


def test_names_that_look_like_other_names():
    assert names.cluster_of_netns(names.netns("a-node-1", 0)) == "a-node-1"
    assert names.cluster_of_netns(names.netns("a", 1)) == "a"
    assert names.cluster_of_netns(names.switch("a-switch")) == "a-switch"
    for foreign in ("cni-1234", "trireme", "trireme-a", "trireme--node-0", "my-trireme-a-node-0"):
        assert names.cluster_of_netns(foreign) is None

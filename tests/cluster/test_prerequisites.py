"""From facts about a machine to what its user has to do."""

import pytest

from trireme.cluster import prerequisites
from trireme.cluster.prerequisites import Facts


def test_a_machine_that_has_all():
    assert prerequisites.decide(Facts()) == []


def test_packages_are_named_once_and_in_one_command():
    facts = Facts(missing_binaries=("containerd", "ctr", "nft", "runc"), cni_bin_dir=None)
    (problem,) = prerequisites.decide(facts)
    assert problem.remedy == (
        "apt-get install --yes --no-install-recommends "
        "containerd containernetworking-plugins nftables runc"
    )
    assert "ctr" in problem.what and "bridge" in problem.what


@pytest.mark.parametrize(
    ("facts", "what", "remedy"),
    [
        (Facts(root=False), "not root", "--control-plane-only"),
        (Facts(links="Operation not permitted"), "Operation not permitted", "--privileged"),
        (Facts(nftables="Not supported"), "nftables", "modprobe nf_tables"),
        (Facts(bridge_netfilter=False), "Services fail", "modprobe br_netfilter"),
        (Facts(controllers=("cpu", "pids")), "cgroup controller for memory", "cgroup_enable"),
        (Facts(ports_in_use=(6443,)), "port 6443", "--api-port"),
        (Facts(linux=False), "not Linux", "--control-plane-only"),
    ],
)
def test_each_problem_says_what_and_what_to_do(facts, what, remedy):
    (problem,) = prerequisites.decide(facts)
    assert what in problem.what
    assert remedy in problem.remedy
    assert problem.fatal


@pytest.mark.parametrize("facts", [Facts(overlay=False), Facts(input_policy_drop=True)])
def test_what_only_slows_or_may_work_is_no_obstacle(facts):
    (problem,) = prerequisites.decide(facts)
    assert not problem.fatal


def test_a_port_in_use_is_found():
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        assert prerequisites.probe([port]).ports_in_use == (port,)

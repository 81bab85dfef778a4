"""The configuration that containerd and CNI read."""

import json
import tomllib

from trireme.cluster.hosts import plan, render

NODE = plan.make("dev", 2).nodes[1]
FACTS = render.RuntimeFacts(cni_bin_dir="/usr/lib/cni", restrict_oom_score_adj=True)


def cri(facts: render.RuntimeFacts = FACTS) -> dict:
    return tomllib.loads(render.containerd(NODE, facts))["plugins"]["io.containerd.grpc.v1.cri"]


def test_containerd_keeps_to_the_nodes_own_folders():
    config = tomllib.loads(render.containerd(NODE, FACTS))
    assert config["version"] == 2
    assert config["root"] == "/var/lib/trireme/dev/node-1/containerd"
    assert config["state"] == "/run/trireme/dev/node-1/containerd"
    assert config["grpc"]["address"] == NODE.containerd_socket
    runc = cri()["containerd"]["runtimes"]["runc"]
    assert runc["options"] == {"SystemdCgroup": False, "Root": "/run/trireme/dev/node-1/runc"}
    assert cri()["netns_mounts_under_state_dir"] is True


def test_a_containerd_without_cri_does_not_start():
    config = tomllib.loads(render.containerd(NODE, FACTS))
    assert config["required_plugins"] == ["io.containerd.grpc.v1.cri"]


def test_facts_of_the_host_are_heeded():
    assert cri()["restrict_oom_score_adj"] is True
    assert cri()["sandbox_image"] == "registry.k8s.io/pause:3.10"
    other = render.RuntimeFacts(cni_bin_dir="/opt/cni/bin", snapshotter="native")
    assert cri(other)["cni"]["bin_dir"] == "/opt/cni/bin"
    assert cri(other)["containerd"]["snapshotter"] == "native"
    assert cri(other)["restrict_oom_score_adj"] is False


def test_cni_bridges_without_translation():
    config = json.loads(render.cni(NODE))
    bridge, portmap = config["plugins"]
    assert config["name"] == "trireme-dev-node-1"
    assert (bridge["type"], bridge["ipMasq"], bridge["hairpinMode"]) == ("bridge", False, True)
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24", "gateway": "10.244.1.1"}]]
    assert bridge["ipam"]["dataDir"].startswith(NODE.state_dir)
    assert portmap["capabilities"] == {"portMappings": True}

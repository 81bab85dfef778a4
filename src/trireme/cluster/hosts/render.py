"""Configuration of a node's containerd and CNI.  Pure.

In: the node's plan and what was found out about the host (`RuntimeFacts`).  Out: the text of
containerd's config.toml and of the CNI network list.  Called by `containerd`.
https://github.com/containerd/containerd/blob/main/docs/cri/config.md, https://www.cni.dev/docs/spec
"""

import ipaddress
import json
from typing import Any

import msgspec

from trireme.cluster.hosts.plan import NodePlan

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"

# What a node never uses; each would be probed at every start (and devmapper logs an error).
_DISABLED = (
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.restart",
)


class RuntimeFacts(msgspec.Struct, frozen=True):
    """What `containerd` learned about this host."""

    cni_bin_dir: str
    snapshotter: str = "overlayfs"
    """`native` where an overlay cannot be mounted upon the file system of the state folder."""
    restrict_oom_score_adj: bool = False
    """True where lowering an oom_score_adj is refused: then containers keep the daemon's."""
    pause_image: str = PAUSE_IMAGE


def containerd(node: NodePlan, facts: RuntimeFacts) -> str:
    """The node's config.toml (version 2, read by containerd 1.6 to 2.x)."""
    cri = {
        "sandbox_image": facts.pause_image,
        "restrict_oom_score_adj": facts.restrict_oom_score_adj,
        # The network namespaces of pods then lie under the node's own folder.
        "netns_mounts_under_state_dir": True,
        # As containerd 2 has it: a container without root may listen on port 80 and ping.
        "enable_unprivileged_ports": True,
        "enable_unprivileged_icmp": True,
        "cni": {
            "bin_dir": facts.cni_bin_dir,
            "conf_dir": cni_conf_dir(node),
            "max_conf_num": 1,
        },
        "containerd": {
            "snapshotter": facts.snapshotter,
            "default_runtime_name": "runc",
            "runtimes": {
                "runc": {
                    "runtime_type": "io.containerd.runc.v2",
                    "options": {"SystemdCgroup": False, "Root": f"{node.run_dir}/runc"},
                }
            },
        },
        "registry": {"config_path": f"{node.state_dir}/registries"},
    }
    return _toml(
        {
            "version": 2,
            "root": f"{node.state_dir}/containerd",
            "state": f"{node.run_dir}/containerd",
            "oom_score": 0,
            "disabled_plugins": list(_DISABLED),
            # Without this containerd would run and listen even if its CRI part had failed.
            "required_plugins": ["io.containerd.grpc.v1.cri"],
            "grpc": {"address": node.containerd_socket},
            "ttrpc": {"address": f"{node.containerd_socket}.ttrpc"},
            "debug": {"level": "warn"},
            "plugins": {"io.containerd.grpc.v1.cri": cri},
        }
    )


def cni(node: NodePlan) -> str:
    """The node's network list: one bridge, addresses from its pod network, host ports."""
    gateway = str(ipaddress.IPv4Network(node.pod_cidr)[1])
    network = {
        "cniVersion": "1.0.0",
        "name": node.cni_network,
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "isDefaultGateway": True,
                "ipMasq": False,
                # A pod reaches itself through its Service.
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": f"{node.state_dir}/cni",
                    "ranges": [[{"subnet": node.pod_cidr, "gateway": gateway}]],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    return json.dumps(network, indent=2) + "\n"


def cni_conf_dir(node: NodePlan) -> str:
    return f"{node.state_dir}/net.d"


def _toml(table: dict[str, Any], path: tuple[str, ...] = ()) -> str:
    """Tables of scalars and lists of them, which is all that containerd's configuration is."""
    scalars = {key: value for key, value in table.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    # A JSON string, number, boolean or list of strings is written the same way in TOML.
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in scalars.items()]
    text = "".join(lines)
    if path and scalars:
        text = f"\n[{'.'.join(json.dumps(part) for part in path)}]\n{text}"
    return text + "".join(_toml(value, (*path, key)) for key, value in tables.items())

"""Every mark that Trireme leaves on a host.  Pure.

In: a cluster's name and a node's index.  Out: the name of each thing made for them.  The makers
(`network`, `cgroups`, `spawn`, `containerd`) use these names and no others; `teardown` and
`testing.host_state` recognise leftovers by them, so a thing made under another name is a leak.

No mark of one cluster can be taken for that of another: where the kernel allows long names they
end in `-node-<index>`, and where it does not (links: 15 characters) a hash stands
for the name and the link's alias carries it in full.
"""

import hashlib
import re

MARK = "trireme"
MAX_NODES = 200
MAX_CONTROL_PLANES = 7
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")


def cluster(name: str) -> str:
    """Returns the name itself if a cluster may have it.

    Raises ValueError: it becomes part of paths, sockets (107 bytes) and namespace names.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"cluster name {name!r}: must be at most 32 lower case letters, digits and '-', "
            "and begin and end with a letter or digit"
        )
    return name


def mark(cluster: str) -> str:
    """The cluster's mark: its top cgroup, nftables table and the prefix of longer names."""
    return f"{MARK}-{cluster}"


def node(index: int) -> str:
    """The node's name in the cluster (`kubectl get nodes`) and of its folders."""
    return f"node-{index}"


def host_link(cluster: str) -> str:
    """The one link of a cluster on the host: 11 characters."""
    return "tri" + hashlib.sha256(cluster.encode()).hexdigest()[:8]


def link_alias(cluster: str) -> str:
    """The alias (`ip link`) of the cluster's link on the host."""
    return f"{MARK}:{cluster}"


def cgroup(cluster: str, *below: str) -> str:
    """A cgroup path within each hierarchy, such as `/trireme-dev/node-0/runtime`."""
    return "/" + "/".join((mark(cluster), *below))


def cni_network(cluster: str, index: int) -> str:
    """The name of a node's pod network, which CNI uses for the files it keeps."""
    return f"{mark(cluster)}-{node(index)}"


def is_cni_network(cluster: str, name: str) -> bool:
    """Whether a pod network of that name is one of the cluster's nodes'."""
    found = re.fullmatch(rf"{MARK}-(.+)-node-\d+", name)
    return found is not None and found[1] == cluster

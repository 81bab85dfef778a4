"""Which cgroups a host has, read from its mounts."""

import pytest

from trireme.cluster.hosts import cgroups

V2 = "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate"
V1 = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
"""
HYBRID = V1 + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"


def test_v2():
    layout = cgroups.probe(V2)
    assert layout.kind == "v2"
    assert cgroups.entries(layout, "/t/n") == ["/sys/fs/cgroup/t/n/cgroup.procs"]


def test_v1():
    layout = cgroups.probe(V1)
    assert layout.kind == "v1"
    assert layout.unified is None
    assert [one.path for one in layout.entered] == [
        "/sys/fs/cgroup/cpu,cpuacct",
        "/sys/fs/cgroup/memory",
    ]


def test_hybrid_enters_both():
    layout = cgroups.probe(HYBRID)
    assert layout.kind == "hybrid"
    assert layout.unified is not None
    assert layout.unified.path == "/sys/fs/cgroup/unified"
    assert layout.unified in layout.entered
    assert len(layout.hierarchies) == 5


def test_a_second_mount_elsewhere_does_not_count():
    layout = cgroups.probe(V2 + "\n60 23 0:28 / /mnt/other rw - cgroup2 cgroup2 rw\n")
    assert [one.path for one in layout.hierarchies] == ["/sys/fs/cgroup"]


def test_none_is_told():
    with pytest.raises(cgroups.NoCgroups, match="no cgroup filesystem"):
        cgroups.probe("22 27 0:21 / /proc rw,relatime - proc proc rw")

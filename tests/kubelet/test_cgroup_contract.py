"""What every implementation of cgroups promises: what is written is read back, and one write leaves
the values that it does not name. The kernel's two hierarchies are stood in for by directories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.kit.clock import RealClock
from trireme.kubelet import podresources
from trireme.kubelet.cgroups import plan
from trireme.kubelet.cgroups.apply import Cgroups, KernelCgroups
from trireme.kubelet.cgroups.plan import Limits
from trireme.testing.memory_cgroups import MemoryCgroups

CONTROLLERS = ("cpu", "memory", "pids")


def memory(_: Path) -> Cgroups:
    return MemoryCgroups()


def first(tmp_path: Path) -> Cgroups:
    roots = {}
    for name in CONTROLLERS:
        (tmp_path / name).mkdir()
        roots[name] = str(tmp_path / name)
    return KernelCgroups(RealClock(), roots)


def second(tmp_path: Path) -> Cgroups:
    folder = tmp_path
    for part in ("", "kubepods", "pod1"):
        folder /= part
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text(" ".join(CONTROLLERS))
    return KernelCgroups(RealClock(), {"": str(tmp_path)})


@pytest.mark.parametrize("make", [memory, first, second])
def test_what_is_written_is_read_back(make: Callable[[Path], Cgroups], tmp_path: Path) -> None:
    groups = make(tmp_path)
    groups.ensure("/kubepods/pod1", Limits(2, 50_000, 100 << 20, 30))
    for change in (Limits(memory=1 << 30), Limits(cpu_quota=20_000), Limits(pids=7)):
        groups.ensure("/kubepods/pod1", change)
    assert groups.exists("/kubepods/pod1") and not groups.exists("/kubepods/pod2")
    assert groups.read("/kubepods/pod1") == Limits(2, 20_000, 1 << 30, 7)


@pytest.mark.parametrize("make", [memory, first])
def test_a_group_that_is_not_there_cannot_be_read(
    make: Callable[[Path], Cgroups], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        make(tmp_path).read("/kubepods/pod2")


def test_no_limit_is_none() -> None:
    largest = {"cpu.cfs_quota_us": "-1", "memory.limit_in_bytes": "9223372036854771712"}
    assert plan.read_v1(lambda _, name: largest.get(name, "max" if name == "pids.max" else "")) == (
        Limits()
    )
    unlimited = {"cpu.weight": "100", "cpu.max": "max 100000", "memory.max": "max"}
    read = plan.read_v2(lambda name: unlimited.get(name, "max"))
    assert (read.cpu_quota, read.memory, read.pids) == (0, 0, 0)


@given(st.integers(podresources.MIN_SHARES, podresources.MAX_SHARES))
def test_a_weight_stands_for_shares_that_give_it_again(shares: int) -> None:
    weight = podresources.cpu_weight(shares)
    assert podresources.cpu_weight(podresources.shares_of_weight(weight)) in (weight - 1, weight)


@given(st.integers(1, 256_000))
def test_amounts_of_cpu_survive_shares_and_quotas(milli: int) -> None:
    quota = podresources.cpu_quota(milli)
    assert podresources.milli_of_quota(quota, podresources.CPU_PERIOD) == max(milli, 10)
    shares = podresources.cpu_shares(milli)
    if podresources.MIN_SHARES < shares < podresources.MAX_SHARES:
        assert podresources.milli_of_shares(shares) in (milli - 1, milli)

"""Back-off, times with nanoseconds, and values on the wire."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trireme.kubelet import nanotime
from trireme.kubelet.backoff import Backoff
from trireme.kubelet.cri import model, wire
from trireme.kubelet.cri.pb import cri_pb2 as pb


def test_back_off_doubles_to_its_maximum_and_forgets() -> None:
    backoff, now = Backoff(), 0.0
    delays = []
    for _ in range(7):
        delays.append(backoff.next("k", now, now))
        now += delays[-1]
    assert delays == [10, 20, 40, 80, 160, 300, 300]
    assert backoff.waiting("k", now, now + 299)
    assert not backoff.waiting("k", now, now + 300)
    assert backoff.next("k", now + 1000, now + 1000) == 10
    assert not backoff.waiting("other", now, now)


@given(st.integers(0, 4 * 10**18))
def test_nanosecond_stamps(nanos: int) -> None:
    assert nanotime.parse_nanos(nanotime.fixed_nanos(nanos)) == nanos


def test_stamps_with_offsets() -> None:
    assert nanotime.parse_nanos("1970-01-01T01:00:00.5+01:00") == 500_000_000


def test_cri_values_survive_the_wire() -> None:
    config = model.ContainerConfig(
        metadata=model.ContainerMetadata(name="a", attempt=2),
        image=model.ImageSpec(image="i"),
        envs=[model.KeyValue(key="k", value=b"\xff")],
        labels={"a": "b"},
        mounts=[model.Mount(container_path="/c", host_path="/h", readonly=True)],
        linux=model.LinuxContainerConfig(
            resources=model.LinuxResources(cpu_shares=5, unified={"memory.oom.group": "1"}),
            security_context=model.ContainerSecurityContext(
                run_as_user=0, seccomp=model.SecurityProfile(profile_type=1)
            ),
        ),
    )
    message = wire.fill(pb.ContainerConfig(), config)
    assert wire.read(model.ContainerConfig, message) == config

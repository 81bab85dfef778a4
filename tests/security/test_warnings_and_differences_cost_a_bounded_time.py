"""What is warned of and the difference that a refusal shows take bounded work and room.

Ports and files of a pod would be compared each with each: half a billion steps, and as many texts,
for a body that is let in.
"""

from __future__ import annotations

import pytest

from trireme.api import difference
from trireme.api.core.v1.pod import overlaps, warnings
from trireme.api.core.v1.pod.container import Container, ContainerPort
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.sources import KeyToPath
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.pod.volumes import ConfigMapVolumeSource, Volume
from trireme.machinery.meta import ObjectMeta

MANY = 30_000


def port(host_port: int = 0, address: str = "") -> ContainerPort:
    return ContainerPort(containerPort=80, protocol="TCP", hostPort=host_port, hostIP=address)


def warned(ports: list[ContainerPort]) -> list[str]:
    spec = PodSpec(containers=[Container(name="c", ports=ports)])
    return warnings.pod(Pod(metadata=ObjectMeta(name="p"), spec=spec), None)


def test_ports_that_all_clash() -> None:
    assert 0 < len(warned([port()] * MANY)) < 1_000


def test_ports_that_never_do() -> None:
    assert warned([port(number + 1) for number in range(MANY)]) == []
    assert warned([port(1, f"10.0.0.{number}") for number in range(MANY)]) == []


@pytest.mark.parametrize(
    ("paths", "least"), [(["a"] * MANY, 500), ([f"d/{number}" for number in range(MANY)], 0)]
)
def test_files_of_a_volume(paths: list[str], least: int) -> None:
    items = [KeyToPath(key="k", path=path) for path in paths]
    volume = Volume(name="v", configMap=ConfigMapVolumeSource(name="c", items=items))
    assert least <= len(overlaps.warnings([volume])) <= 500


def test_the_difference_of_a_refused_change() -> None:
    old = [f"{number % 150}\n" for number in range(100_000)]
    new = [f"{(number * 7 + 1) % 150}\n" for number in range(100_000)]
    assert len(list(difference.unified(old, new))) <= 2 * difference.LINES + 1

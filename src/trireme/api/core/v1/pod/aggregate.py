"""Resources of all containers of a pod.

In: a PodSpec. Out: sums of requests or limits by resource name. Called by: pod defaults and the
rules on pod-level resources. Rules: KEP-753 (sidecars) and KEP-2837 (pod-level resources).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.machinery import quantity
from trireme.machinery.quantity import Quantity

HUGE_PAGES: Final = "hugepages-"
_POD_LEVEL: Final = ("cpu", "memory")


def requests(spec: PodSpec) -> dict[str, Quantity]:
    """The most that the containers request at any one time."""
    return sum_up(spec, lambda container: _quantities(container.resources.requests))


def limits(spec: PodSpec) -> dict[str, Quantity]:
    """The most that the containers may use at any one time; what has no limit does not count."""
    return sum_up(spec, lambda container: _quantities(container.resources.limits))


def is_pod_level(name: str) -> bool:
    """Whether a resource may stand in ``spec.resources``."""
    return name in _POD_LEVEL or name.startswith(HUGE_PAGES)


def is_sidecar(container: Container) -> bool:
    """A restartable init container."""
    return container.restartPolicy == "Always"


def sum_up(spec: PodSpec, of: Callable[[Container], Mapping[str, Quantity]]) -> dict[str, Quantity]:
    """The most at any one time of what ``of`` says for each container: all containers and sidecars
    together, or an init container with the sidecars that were started before it."""
    total: dict[str, Quantity] = {}
    for container in spec.containers:
        _add(total, of(container))
    sidecars: dict[str, Quantity] = {}
    initial: dict[str, Quantity] = {}
    for container in spec.initContainers:
        own = of(container)
        if is_sidecar(container):
            _add(total, own)
            _add(sidecars, own)
            at_once = sidecars
        else:
            at_once = dict(own)
            _add(at_once, sidecars)
        _raise_to(initial, at_once)
    _raise_to(total, initial)
    return total


def _quantities(texts: Mapping[str, str]) -> dict[str, Quantity]:
    return {name: quantity.parse(text) for name, text in texts.items()}


def _add(total: dict[str, Quantity], more: Mapping[str, Quantity]) -> None:
    for name, value in more.items():
        total[name] = total[name] + value if name in total else value


def _raise_to(total: dict[str, Quantity], floor: Mapping[str, Quantity]) -> None:
    for name, value in floor.items():
        if name not in total or value > total[name]:
            total[name] = value

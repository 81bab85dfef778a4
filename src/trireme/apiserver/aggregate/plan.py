"""Which APIServices this server keeps, what has to be done about one, and its condition. Pure.

In: the versions of groups that are served here; what leads to another server. Out: APIServices, and
what to do. A version that is built in is registered once, when the server starts; one that a
CustomResourceDefinition serves is kept as long as that is so. Others' objects, which do not carry
the label, are left alone but for their condition. Called by ``register``, ``availability``.
Upstream: kube-aggregator ``autoregister`` and ``controllers/status``,
pkg/controlplane/apiserver/aggregator.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from trireme.api.apiregistration.v1 import apiservice
from trireme.api.apiregistration.v1.apiservice import (
    APIService,
    APIServiceCondition,
    APIServiceSpec,
    ServiceReference,
)
from trireme.api.core.v1.service import Service
from trireme.api.discovery.v1.endpointslice_types import EndpointSlice
from trireme.machinery import gotext
from trireme.machinery.meta import ObjectMeta

LABEL: Final = "kube-aggregator.kubernetes.io/automanaged"
ON_START: Final = "onstart"
ALWAYS: Final = "true"

# Where a group comes in discovery, and a version within its group: the highest is first. Versions
# that are not here have no APIService.
_PRIORITIES: Final = """
core 18000 v1=1
apps 17800 v1=15
events.k8s.io 17750 v1=15 v1beta1=5
authentication.k8s.io 17700 v1=15 v1beta1=9 v1alpha1=1
authorization.k8s.io 17600 v1=15
autoscaling 17500 v1=15 v2=30 v2beta1=9 v2beta2=1
batch 17400 v1=15 v1beta1=9 v2alpha1=9
certificates.k8s.io 17300 v1=15 v1beta1=9 v1alpha1=1
networking.k8s.io 17200 v1=15 v1beta1=9
policy 17100 v1=15 v1beta1=9
rbac.authorization.k8s.io 17000 v1=15
storage.k8s.io 16800 v1=15 v1beta1=9 v1alpha1=1
apiextensions.k8s.io 16700 v1=15
admissionregistration.k8s.io 16700 v1=15 v1beta1=12 v1alpha1=9
scheduling.k8s.io 16600 v1=15 v1alpha2=2
coordination.k8s.io 16500 v1=15 v1beta1=13 v1alpha2=12
node.k8s.io 16300 v1=15 v1beta1=9 v1alpha1=1
discovery.k8s.io 16200 v1=15 v1beta1=12
resource.k8s.io 16200 v1=21 v1beta2=15 v1beta1=9 v1alpha3=1
flowcontrol.apiserver.k8s.io 16100 v1=21 v1beta3=18 v1beta2=15 v1beta1=12 v1alpha1=9
internal.apiserver.k8s.io 16000 v1alpha1=9
storagemigration.k8s.io 15800 v1beta1=9
"""
_CUSTOM: Final = (1000, 100)


class Step(Enum):
    """What has to be done about an APIService."""

    NOTHING = auto()
    CREATE = auto()
    # Its spec becomes the desired one.
    UPDATE = auto()
    DELETE = auto()


def name(group: str, version: str) -> str:
    """``v1.apps``; the group without a name gives ``v1.``."""
    return f"{version}.{group}"


def built_in(versions: Iterable[tuple[str, str]]) -> list[APIService]:
    """The APIServices of (group, version) pairs that the server itself serves."""
    priorities = _priorities()
    return [
        _local(*each, priorities[each], ON_START) for each in sorted(versions) if each in priorities
    ]


def custom(group: str, version: str) -> APIService:
    """The APIService of a version that a definition serves."""
    return _local(group, version, _CUSTOM, ALWAYS)


def at_start(current: APIService | None, desired: APIService | None) -> Step:
    """What to do when the server starts."""
    if current is None:
        return Step.NOTHING if desired is None else Step.CREATE
    managed = current.metadata.labels.get(LABEL)
    if managed not in (ON_START, ALWAYS) or (desired is None and managed == ALWAYS):
        return Step.NOTHING
    return _sync_step(current, desired)


def later(current: APIService | None, desired: APIService | None) -> Step:
    """What to do about a version of custom kinds while the server runs."""
    if current is None:
        return Step.NOTHING if desired is None else Step.CREATE
    if current.metadata.labels.get(LABEL) != ALWAYS:
        return Step.NOTHING
    return _sync_step(current, desired)


def unreachable(
    reference: ServiceReference, service: Service | None, slices: list[EndpointSlice]
) -> APIServiceCondition | None:
    """Why another server cannot be reached through its Service, whose EndpointSlices are given;
    None where it has to be asked itself."""
    port = reference.port
    what = f"service/{reference.name} in {gotext.quote(reference.namespace)}"
    if service is None:
        return _unavailable("ServiceNotFound", f"{what} is not present")
    if service.spec.type == "ClusterIP":
        name = next((item.name for item in service.spec.ports if item.port == port), None)
        if name is None:
            return _unavailable("ServicePortError", f"{what} is not listening on port {port}")
        if not slices:
            return _unavailable("EndpointsNotFound", f"cannot find endpointslices for {what}")
        if not any(_has_ready_port(item, name) for item in slices):
            message = (
                f"endpointslices for {what} have no addresses with port name {gotext.quote(name)}"
            )
            return _unavailable("MissingEndpoints", message)
    return None


def checked(problem: str) -> APIServiceCondition:
    """The condition after a server was asked; ``problem`` is empty where it answered."""
    if problem:
        return _unavailable("FailedDiscoveryCheck", problem)
    return APIServiceCondition(
        type=apiservice.AVAILABLE, status="True", reason="Passed", message="all checks passed"
    )


def group_priority(group: str) -> int:
    """Where a group that this server serves comes in discovery."""
    found = [value[0] for key, value in _priorities().items() if key[0] == group]
    return found[0] if found else _CUSTOM[0]


def version_priority(group: str, version: str) -> int:
    """Where a version that this server serves comes within its group."""
    return _priorities().get((group, version), _CUSTOM)[1]


def _has_ready_port(item: EndpointSlice, port_name: str) -> bool:
    ready = any(endpoint.conditions.ready is not False for endpoint in item.endpoints)
    return ready and any(port.name == port_name and port.port is not None for port in item.ports)


def _unavailable(reason: str, message: str) -> APIServiceCondition:
    return APIServiceCondition(
        type=apiservice.AVAILABLE, status="False", reason=reason, message=message
    )


def _sync_step(current: APIService, desired: APIService | None) -> Step:
    if desired is None:
        return Step.DELETE
    return Step.NOTHING if current.spec == desired.spec else Step.UPDATE


def _local(group: str, version: str, priority: tuple[int, int], managed: str) -> APIService:
    return APIService(
        metadata=ObjectMeta(name=name(group, version), labels={LABEL: managed}),
        spec=APIServiceSpec(
            group=group,
            version=version,
            groupPriorityMinimum=priority[0],
            versionPriority=priority[1],
        ),
    )


@lru_cache(maxsize=1)
def _priorities() -> dict[tuple[str, str], tuple[int, int]]:
    found = {}
    for line in _PRIORITIES.split("\n"):
        group, *words = line.split() or [""]
        for word in words[1:]:
            version, _, number = word.partition("=")
            found["" if group == "core" else group, version] = int(words[0]), int(number)
    return found

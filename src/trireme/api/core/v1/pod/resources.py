"""Types of resources: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import Quantity, Required, Struct, always, listmap


class ContainerResizePolicy(Struct):
    resourceName: Annotated[str, Required()] = always(str)
    restartPolicy: Annotated[str, Required()] = always(str)


class ResourceClaim(Struct):
    name: Annotated[str, Required()] = always(str)
    request: str = ""


class ResourceRequirements(Struct):
    limits: dict[str, Quantity] = {}
    requests: dict[str, Quantity] = {}
    claims: Annotated[list[ResourceClaim], listmap("name")] = []


class ResourceHealth(Struct):
    resourceID: Annotated[str, Required()] = always(str)
    health: str = ""
    message: str | None = None


class ResourceStatus(Struct):
    name: Annotated[str, Required()] = always(str)
    resources: Annotated[list[ResourceHealth], listmap("resourceID")] = []

"""Types of sources: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import Default, Int32, Quantity, Required, Struct, always, atomic


@atomic
class ConfigMapKeySelector(Struct):
    name: str = ""
    key: Annotated[str, Required()] = always(str)
    optional: bool | None = None


@atomic
class FileKeySelector(Struct):
    volumeName: Annotated[str, Required()] = always(str)
    path: Annotated[str, Required()] = always(str)
    key: Annotated[str, Required()] = always(str)
    optional: Annotated[bool | None, Default(False)] = None


@atomic
class ObjectFieldSelector(Struct):
    apiVersion: Annotated[str, Default("v1")] = ""
    fieldPath: Annotated[str, Required()] = always(str)


@atomic
class ResourceFieldSelector(Struct):
    containerName: str = ""
    resource: Annotated[str, Required()] = always(str)
    # Upstream writes the divisor even when it is not set.
    divisor: Quantity = always(lambda: "0")


@atomic
class SecretKeySelector(Struct):
    name: str = ""
    key: Annotated[str, Required()] = always(str)
    optional: bool | None = None


class KeyToPath(Struct):
    key: Annotated[str, Required()] = always(str)
    path: Annotated[str, Required()] = always(str)
    mode: Int32 | None = None

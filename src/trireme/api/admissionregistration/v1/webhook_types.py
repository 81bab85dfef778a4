"""Webhooks: the parts that both webhook configurations have."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import Default, Enum, Int32, Required, Struct, always

SideEffectClass = Annotated[str, Enum(("None", "NoneOnDryRun", "Some", "Unknown"))]
ReinvocationPolicy = Annotated[str, Enum(("IfNeeded", "Never"))]


class ServiceReference(Struct):
    namespace: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)
    path: str | None = None
    port: Annotated[Int32 | None, Default(443)] = None


class WebhookClientConfig(Struct):
    url: str | None = None
    service: ServiceReference | None = None
    caBundle: bytes = b""

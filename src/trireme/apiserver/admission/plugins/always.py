"""AlwaysAdmit and AlwaysDeny: what their names say. Off by default, deprecated upstream."""

from __future__ import annotations

from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.machinery.resource import Resource


class AlwaysAdmit(PluginBase):
    name = "AlwaysAdmit"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return False


class AlwaysDeny(PluginBase):
    name = "AlwaysDeny"

    def admit(self, attributes: Attributes, context: Context) -> None:
        raise forbidden(attributes, "admission control is denying all modifications")

"""DenyServiceExternalIPs: no Service takes external addresses (CVE-2020-8554). Off by default."""

from __future__ import annotations

from trireme.api.core.v1.service import Service
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.machinery.resource import Resource


class DenyServiceExternalIPs(PluginBase):
    """Addresses that a Service has already may stay."""

    name = "DenyServiceExternalIPs"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Service and not subresource and operation in ("CREATE", "UPDATE")

    def validate(self, attributes: Attributes, context: Context) -> None:
        old = attributes.old
        known = set() if old is None else set(old.spec.externalIPs)
        if not set(attributes.new.spec.externalIPs) <= known:
            raise forbidden(attributes, "Use of external IPs is denied by admission control")

"""ExtendedResourceToleration: a pod that asks for a device tolerates the taint of its nodes.

Off by default. Upstream: issue 55080.
"""

from __future__ import annotations

from trireme.api.core.v1 import resource_names
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.selection import Toleration
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.machinery.resource import Resource


class ExtendedResourceToleration(PluginBase):
    name = "ExtendedResourceToleration"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Pod and not subresource and operation in ("CREATE", "UPDATE")

    def admit(self, attributes: Attributes, context: Context) -> None:
        pod: Pod = attributes.new
        desired = {
            name
            for container in (*pod.spec.containers, *pod.spec.initContainers)
            for name in container.resources.requests
            if resource_names.is_extended(name)
        }
        for name in sorted(desired):
            own = Toleration(key=name, operator="Exists", effect="NoSchedule")
            if own not in pod.spec.tolerations:
                pod.spec.tolerations = [*pod.spec.tolerations, own]

"""LimitPodHardAntiAffinityTopology: required anti-affinity is between hosts. Off by default."""

from __future__ import annotations

from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.machinery import errors
from trireme.machinery.resource import Resource

_HOST = "kubernetes.io/hostname"


class LimitPodHardAntiAffinityTopology(PluginBase):
    name = "LimitPodHardAntiAffinityTopology"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Pod and not subresource and operation in ("CREATE", "UPDATE")

    def validate(self, attributes: Attributes, context: Context) -> None:
        pod: Pod = attributes.new
        affinity = pod.spec.affinity
        if affinity is None or affinity.podAntiAffinity is None:
            return
        for term in affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution:
            if term.topologyKey != _HOST:
                raise errors.forbidden(
                    "pods",
                    pod.metadata.name,
                    "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey "
                    f"{term.topologyKey} but only key {_HOST} is allowed",
                )

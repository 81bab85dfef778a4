"""PodTopologyLabels: a pod that gets a node carries the node's zone and region. KEP-4742."""

from __future__ import annotations

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.binding import Binding
from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.machinery.resource import Resource

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels(PluginBase):
    """For bindings (whose labels go to their pod) and pods that are created on a node."""

    name = "PodTopologyLabels"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Pod and subresource in ("", "binding") and operation == "CREATE"

    def admit(self, attributes: Attributes, context: Context) -> None:
        target = attributes.new
        if isinstance(target, Binding):
            name = target.target.name if target.target.kind == "Node" else ""
        else:
            name = target.spec.nodeName
        node = context.reader.get(Node, "", name) if name else None
        if node is None:
            return
        found = {key: node.metadata.labels[key] for key in LABELS if key in node.metadata.labels}
        if found:
            target.metadata.labels = target.metadata.labels | found

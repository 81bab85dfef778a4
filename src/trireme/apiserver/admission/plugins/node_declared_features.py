"""NodeDeclaredFeatureValidator: a bound pod changes only in ways that its node says it can follow.

Upstream: KEP-5328; component-helpers ``nodedeclaredfeatures``.
"""

from __future__ import annotations

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.machinery import gotext
from trireme.machinery.resource import Resource


class NodeDeclaredFeatureValidator(PluginBase):
    """For updates of pods and for their resizes."""

    name = "NodeDeclaredFeatureValidator"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Pod and operation == "UPDATE" and subresource in ("", "resize")

    def validate(self, attributes: Attributes, context: Context) -> None:
        new: Pod = attributes.new
        old: Pod = attributes.old
        name = new.spec.nodeName
        if not name or old.metadata.generation == new.metadata.generation:
            return
        desired = required(old.spec, new.spec)
        if not desired:
            return
        node = context.reader.get(Node, "", name)
        if node is None:
            raise forbidden(attributes, f"node {gotext.quote(name)} not found")
        missing = [item for item in desired if item not in node.status.declaredFeatures]
        if missing:
            raise forbidden(
                attributes,
                f"pod update requires features {', '.join(missing)} which are not available on "
                f"node {gotext.quote(name)}",
            )


def required(old: PodSpec, new: PodSpec) -> list[str]:
    """The features that a node needs to follow an update."""
    found: list[str] = []
    if old.resources != new.resources:
        found.append("InPlacePodLevelResourcesVerticalScaling")
    resources = {item.name: item.resources for item in new.initContainers}
    if any(
        item.restartPolicy != "Always" and item.resources != resources.get(item.name)
        for item in old.initContainers
    ):
        found.append("InPlacePodVerticalScalingInitContainers")
    return found

"""TaintNodesByCondition: a new node takes no pods until its conditions say that it is ready.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#taintnodesbycondition.
"""

from __future__ import annotations

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.selection import Taint
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.machinery.resource import Resource

KEY = "node.kubernetes.io/not-ready"
EFFECT = "NoSchedule"


class TaintNodesByCondition(PluginBase):
    """For nodes that are created."""

    name = "TaintNodesByCondition"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Node and not subresource and operation == "CREATE"

    def admit(self, attributes: Attributes, context: Context) -> None:
        spec = attributes.new.spec
        if not any(taint.key == KEY and taint.effect == EFFECT for taint in spec.taints):
            spec.taints = [*spec.taints, Taint(key=KEY, effect=EFFECT)]

"""DefaultTolerationSeconds: a pod stays five minutes on a lost node unless it says otherwise.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
#defaulttolerationseconds.
"""

from __future__ import annotations

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.selection import Toleration
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.machinery.resource import Resource

SECONDS = 300
KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
EFFECT = "NoExecute"


class DefaultTolerationSeconds(PluginBase):
    """For pods that are created or updated."""

    name = "DefaultTolerationSeconds"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Pod and not subresource and operation in ("CREATE", "UPDATE")

    def admit(self, attributes: Attributes, context: Context) -> None:
        spec = attributes.new.spec
        tolerated = {item.key for item in spec.tolerations if item.effect in ("", EFFECT)}
        if "" in tolerated:
            return
        missing = [
            Toleration(key=key, operator="Exists", effect=EFFECT, tolerationSeconds=SECONDS)
            for key in KEYS
            if key not in tolerated
        ]
        if missing:
            spec.tolerations = [*spec.tolerations, *missing]

"""DefaultIngressClass: an Ingress that names no class gets the default one.

https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class.
"""

from __future__ import annotations

from trireme.api.networking.v1.ingress_types import Ingress
from trireme.api.networking.v1.ingressclass import IngressClass
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.domain import default_class
from trireme.machinery.resource import Resource

IS_DEFAULT = ("ingressclass.kubernetes.io/is-default-class",)
OLD_CLASS = "kubernetes.io/ingress.class"


class DefaultIngressClass(PluginBase):
    """For ingresses that are created."""

    name = "DefaultIngressClass"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Ingress and not subresource and operation == "CREATE"

    def admit(self, attributes: Attributes, context: Context) -> None:
        ingress: Ingress = attributes.new
        if ingress.spec.ingressClassName is not None or OLD_CLASS in ingress.metadata.annotations:
            return
        default = default_class.of(context.reader.list(IngressClass), IS_DEFAULT)
        if default is not None:
            ingress.spec.ingressClassName = default.metadata.name

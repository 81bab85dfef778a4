"""NamespaceAutoProvision and NamespaceExists: off by default, as NamespaceLifecycle does more.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#namespaceautoprovision.
"""

from __future__ import annotations

from collections.abc import Awaitable

from trireme.api.core.v1.namespace import Namespace
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.machinery import errors
from trireme.machinery.meta import ObjectMeta
from trireme.machinery.resource import Resource


class NamespaceAutoProvision(PluginBase):
    """A namespace that is not there is made for what is created in it."""

    name = "NamespaceAutoProvision"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.namespaced and operation == "CREATE"

    def admit(self, attributes: Attributes, context: Context) -> Awaitable[None] | None:
        name = attributes.namespace
        if attributes.dry_run or not name or context.reader.get(Namespace, "", name) is not None:
            return None
        return self._create(attributes, context)

    async def _create(self, attributes: Attributes, context: Context) -> None:
        namespace = Namespace(metadata=ObjectMeta(name=attributes.namespace))
        try:
            await context.create(namespace)
        except errors.ApiError as error:
            if not errors.is_already_exists(error):
                raise forbidden(attributes, error.message) from None


class NamespaceExists(PluginBase):
    """Nothing is written in a namespace that is not there."""

    name = "NamespaceExists"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.namespaced and operation in ("CREATE", "UPDATE", "DELETE")

    def validate(self, attributes: Attributes, context: Context) -> None:
        name = attributes.namespace
        if name and context.reader.get(Namespace, "", name) is None:
            raise errors.not_found("namespaces", name)

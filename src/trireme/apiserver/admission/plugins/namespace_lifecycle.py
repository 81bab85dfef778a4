"""NamespaceLifecycle: nothing is created in a missing or terminating namespace; three stay.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#namespacelifecycle.
"""

from __future__ import annotations

from collections.abc import Awaitable

from trireme.api.core.v1.namespace import Namespace
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.machinery import errors
from trireme.machinery.resource import Resource
from trireme.machinery.status import StatusCause

IMMORTAL = ("default", "kube-system", "kube-public")
# Its answer must not tell whether the namespace is there.
_EXEMPT = "localsubjectaccessreviews.authorization.k8s.io"


class NamespaceLifecycle(PluginBase):
    """For creations and updates in namespaces, and the deletion of namespaces."""

    name = "NamespaceLifecycle"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        if operation == "DELETE":
            return resource.type is Namespace
        return (
            operation in ("CREATE", "UPDATE")
            and resource.namespaced
            and resource.group_resource != _EXEMPT
        )

    def admit(self, attributes: Attributes, context: Context) -> Awaitable[None] | None:
        if attributes.operation == "DELETE":
            if attributes.name in IMMORTAL:
                detail = "this namespace may not be deleted"
                raise errors.forbidden("namespaces", attributes.name, detail)
            return None
        namespace = context.reader.get(Namespace, "", attributes.namespace)
        if namespace is None:
            return self._look_again(attributes, context)
        self._check(attributes, namespace)
        return None

    async def _look_again(self, attributes: Attributes, context: Context) -> None:
        """Another API server may just have created it."""
        await context.reader.catch_up()
        namespace = context.reader.get(Namespace, "", attributes.namespace)
        if namespace is None:
            raise errors.not_found("namespaces", attributes.namespace)
        self._check(attributes, namespace)

    def _check(self, attributes: Attributes, namespace: Namespace) -> None:
        if attributes.operation == "CREATE" and namespace.status.phase == "Terminating":
            raise _terminating(attributes)


def _terminating(attributes: Attributes) -> errors.ApiError:
    namespace = attributes.namespace
    detail = f"unable to create new content in namespace {namespace} because it is being terminated"
    error = forbidden(attributes, detail)
    assert error.details is not None
    error.details.causes = [
        StatusCause(
            reason="NamespaceTerminating",
            message=f"namespace {namespace} is being terminated",
            field="metadata.namespace",
        )
    ]
    return error

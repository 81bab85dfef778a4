"""OwnerReferencesPermissionEnforcement: who may say what is deleted with what. Off by default.

To change the owners of an object one has to be allowed to delete it; to block an owner's deletion,
to update the owner's finalizers. Upstream: plugin/pkg/admission/gc.
"""

from __future__ import annotations

from typing import Any

from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.apiserver.authz import contract as authorization
from trireme.machinery import gotext
from trireme.machinery.meta import OwnerReference
from trireme.machinery.resource import Resource


class OwnerReferencesPermissionEnforcement(PluginBase):
    name = "OwnerReferencesPermissionEnforcement"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        # The rules of pods' status keep the owners.
        is_kept = resource.type is Pod and subresource == "status"
        return operation in ("CREATE", "UPDATE") and not is_kept

    def validate(self, attributes: Attributes, context: Context) -> None:
        before, after = _owners(attributes.old), _owners(attributes.new)
        if before == after:
            return
        if attributes.operation != "CREATE":
            asked = attributes.endpoint.resource
            decision = context.authorizer.authorize(
                authorization.Attributes(
                    attributes.user,
                    "delete",
                    asked.group,
                    asked.version,
                    asked.plural,
                    attributes.subresource,
                    attributes.namespace,
                    attributes.name,
                )
            )
            if not decision.allowed:
                raise forbidden(
                    attributes,
                    "cannot set an ownerRef on a resource you can't delete: "
                    f"{decision.reason}, <nil>",
                )
        was = {ref.uid for ref in before if ref.blockOwnerDeletion}
        blocking = [ref for ref in after if ref.blockOwnerDeletion and ref.uid not in was]
        if blocking and not _may_finalize(attributes, context, "*", "*", "*", "*", "").allowed:
            for ref in blocking:
                _check(ref, attributes, context)


def _owners(obj: Any) -> list[OwnerReference]:
    return obj.metadata.ownerReferences if hasattr(obj, "metadata") else []


def _check(ref: OwnerReference, attributes: Attributes, context: Context) -> None:
    """Refuse a reference to an owner whose finalizers the user may not update."""
    group, _, desired = ref.apiVersion.rpartition("/")
    found = context.of_kind(group, desired, ref.kind)
    if found is None:
        kind, version = gotext.quote(ref.kind), gotext.quote(ref.apiVersion)
        raise forbidden(
            attributes,
            "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for "
            f"APIVersion {ref.apiVersion} Kind {ref.kind}: no matches for kind {kind} in version "
            f"{version}",
        )
    resource = found.resource
    namespace = attributes.namespace if resource.namespaced else ""
    decision = _may_finalize(
        attributes,
        context,
        resource.group,
        resource.version,
        resource.plural,
        ref.name,
        namespace,
    )
    if not decision.allowed:
        raise forbidden(
            attributes,
            "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't "
            f"set finalizers on: {decision.reason}, <nil>",
        )


def _may_finalize(
    attributes: Attributes,
    context: Context,
    group: str,
    version: str,
    plural: str,
    name: str,
    namespace: str,
) -> authorization.Decision:
    return context.authorizer.authorize(
        authorization.Attributes(
            attributes.user, "update", group, version, plural, "finalizers", namespace, name
        )
    )

"""Which pods a node may create: mirrors of its own static pods, without references.

Called by ``node_restriction``. https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/.
"""

from __future__ import annotations

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.admission.contract import Attributes, Context, forbidden
from trireme.domain import pod_references as references
from trireme.machinery import errors, gotext


def check(node: str, attributes: Attributes, context: Context) -> None:
    """403 for a pod that the node may not create."""
    pod: Pod = attributes.new
    who = gotext.quote(node)
    if not references.is_mirror(pod):
        raise forbidden(
            attributes,
            f"pod does not have {gotext.quote(references.MIRROR)} annotation, node {who} can only "
            "create mirror pods",
        )
    if pod.spec.nodeName != node:
        detail = f"node {who} can only create pods with spec.nodeName set to itself"
        raise forbidden(attributes, detail)
    _check_owner(node, attributes, context)
    named = references.api_objects(pod)
    if named:
        raise forbidden(attributes, f"node {who} can not create pods that reference {named}")


def _check_owner(node: str, attributes: Attributes, context: Context) -> None:
    who, owners = gotext.quote(node), attributes.new.metadata.ownerReferences
    if len(owners) > 1:
        detail = f"node {who} can only create pods with a single owner reference set to itself"
        raise forbidden(attributes, detail)
    if not owners or (owners[0].apiVersion, owners[0].kind, owners[0].name) != ("v1", "Node", node):
        detail = f"node {who} can only create pods with an owner reference set to itself"
        raise forbidden(attributes, detail)
    owner = owners[0]
    if not owner.controller:
        detail = f"node {who} can only create pods with a controller owner reference set to itself"
        raise forbidden(attributes, detail)
    if owner.blockOwnerDeletion:
        detail = f"node {who} must not set blockOwnerDeletion on an owner reference"
        raise forbidden(attributes, detail)
    stored = context.reader.get(Node, "", node)
    if stored is None:
        raise errors.not_found("nodes", node)
    if stored.metadata.uid != owner.uid:
        detail = f"node {node} UID mismatch: expected {owner.uid} got {stored.metadata.uid}"
        raise forbidden(attributes, detail)

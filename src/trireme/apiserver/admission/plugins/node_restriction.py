"""NodeRestriction: what a kubelet writes is about its own node and the pods on it.

The Node authorizer decides by the path of a request, this plugin by its content. Requests of others
pass. Claims of devices, CSI nodes and certificate requests join with their kinds.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction.
"""

from __future__ import annotations

from trireme.api.authentication.v1.tokenrequest import TokenRequest
from trireme.api.coordination.v1.lease import Lease
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.api.storage.v1.csidriver import CSIDriver
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.apiserver.admission.plugins import mirror_pods
from trireme.apiserver.authz import contract as authorization
from trireme.apiserver.authz.node import identity
from trireme.apiserver.authz.node.authorizer import LEASES
from trireme.domain import pod_references as references
from trireme.machinery import errors, gotext
from trireme.machinery.resource import Resource

RESTRICTED_DOMAIN = "node-restriction.kubernetes.io"
KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    }
)


class NodeRestriction(PluginBase):
    """For writes of nodes: pods, their status and eviction, Node, Lease, tokens."""

    name = "NodeRestriction"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type in (Pod, Node, ServiceAccount, Lease) and operation in (
            "CREATE",
            "UPDATE",
            "DELETE",
        )

    def admit(self, attributes: Attributes, context: Context) -> None:
        node = identity.node_name(attributes.user)
        if node is None:
            return
        if not node:
            who = gotext.quote(attributes.user.name)
            raise forbidden(attributes, f"could not determine node from user {who}")
        kind = attributes.resource.type
        if kind is Pod:
            _pod(node, attributes, context)
        elif kind is Node:
            _node(node, attributes)
        elif kind is Lease:
            _lease(node, attributes)
        elif attributes.subresource == "token":
            _token(node, attributes, context)


def _pod(node: str, attributes: Attributes, context: Context) -> None:
    subresource, operation = attributes.subresource, attributes.operation
    if subresource == "status":
        _pod_status(node, attributes)
    elif subresource == "eviction":
        pod = context.reader.get(Pod, attributes.namespace, attributes.name)
        if pod is None:
            raise errors.not_found("pods", attributes.name)
        if pod.spec.nodeName != node:
            detail = f"node {node} can only evict pods with spec.nodeName set to itself"
            raise forbidden(attributes, detail)
    elif subresource:
        raise forbidden(
            attributes,
            f"unexpected pod subresource {gotext.quote(subresource)}, only 'status' and "
            "'eviction' are allowed",
        )
    elif operation == "CREATE":
        mirror_pods.check(node, attributes, context)
    elif operation == "DELETE":
        if attributes.old.spec.nodeName != node:
            who = gotext.quote(node)
            detail = f"node {who} can only delete pods with spec.nodeName set to itself"
            raise forbidden(attributes, detail)
    else:
        raise forbidden(
            attributes,
            f"unexpected operation {gotext.quote(operation)}, node {gotext.quote(node)} can only "
            "create and delete mirror pods",
        )


def _pod_status(node: str, attributes: Attributes) -> None:
    who = gotext.quote(node)
    if attributes.operation != "UPDATE":
        detail = f"unexpected operation {gotext.quote(attributes.operation)}"
        raise forbidden(attributes, detail)
    new: Pod = attributes.new
    old: Pod = attributes.old
    if old.spec.nodeName != node:
        raise forbidden(
            attributes,
            f"node {who} can only update pod status for pods with spec.nodeName set to itself",
        )
    if new.metadata.labels != old.metadata.labels:
        raise forbidden(attributes, f"node {who} cannot update labels through pod status")
    if new.status.resourceClaimStatuses != old.status.resourceClaimStatuses:
        raise forbidden(attributes, f"node {who} cannot update resource claim statues")
    if new.status.extendedResourceClaimStatus != old.status.extendedResourceClaimStatus:
        raise forbidden(attributes, f"node {who} cannot update extended resource claim status")


def _node(node: str, attributes: Attributes) -> None:
    who = gotext.quote(node)
    if attributes.name != node:
        requested = gotext.quote(attributes.name)
        raise forbidden(attributes, f"node {who} is not allowed to modify node {requested}")
    if attributes.operation == "DELETE":
        return
    new: Node = attributes.new
    if attributes.operation == "CREATE":
        if new.spec.configSource is not None:
            detail = f"node {who} is not allowed to create pods with a non-nil configSource"
            raise forbidden(attributes, detail)
        labels = forbidden_labels(new.metadata.labels, {})
        if labels:
            names = ", ".join(labels)
            detail = f"node {who} is not allowed to set the following labels: {names}"
            raise forbidden(attributes, detail)
        return
    old: Node = attributes.old
    if new.spec.configSource is not None and new.spec.configSource != old.spec.configSource:
        raise forbidden(
            attributes,
            f"node {who} is not allowed to update configSource to a new non-nil configSource",
        )
    if new.spec.taints != old.spec.taints:
        raise forbidden(attributes, f"node {who} is not allowed to modify taints")
    if new.metadata.ownerReferences != old.metadata.ownerReferences:
        raise forbidden(attributes, f"node {who} is not allowed to modify ownerReferences")
    labels = forbidden_labels(new.metadata.labels, old.metadata.labels)
    if labels:
        raise forbidden(attributes, f"is not allowed to modify labels: {', '.join(labels)}")


def forbidden_labels(new: dict[str, str], old: dict[str, str]) -> list[str]:
    """Labels that changed and that a node may not set, add or remove, sorted."""
    changed = {key for key in new.keys() | old.keys() if new.get(key) != old.get(key)}
    return sorted(key for key in changed if not _node_may_set(key))


def _node_may_set(label: str) -> bool:
    domain, slash, _ = label.partition("/")
    if not slash:
        return True
    if _within(domain, RESTRICTED_DOMAIN):
        return False
    if not _within(domain, "kubernetes.io") and not _within(domain, "k8s.io"):
        return True
    return label in KUBELET_LABELS or any(_within(domain, own) for own in KUBELET_DOMAINS)


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")


def _lease(node: str, attributes: Attributes) -> None:
    if attributes.namespace != LEASES:
        detail = f"can only access leases in the {gotext.quote(LEASES)} system namespace"
        raise forbidden(attributes, detail)
    if attributes.name != node:
        raise forbidden(
            attributes, "can only access node lease with the same name as the requesting node"
        )


def _token(node: str, attributes: Attributes, context: Context) -> None:
    """A node gets tokens for the pods on it only, and for the audiences that they ask for."""
    requested: TokenRequest = attributes.new
    ref = requested.spec.boundObjectRef
    if ref is None or ref.apiVersion != "v1" or ref.kind != "Pod" or not ref.name:
        raise forbidden(attributes, "node requested token not bound to a pod")
    if not ref.uid:
        raise forbidden(attributes, "node requested token with a pod binding without a uid")
    pod = context.reader.get(Pod, attributes.namespace, ref.name)
    if pod is None:
        raise errors.not_found("pods", ref.name)
    if pod.metadata.uid != ref.uid:
        raise forbidden(
            attributes,
            f"the UID in the bound object reference ({ref.uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated",
        )
    if pod.spec.nodeName != node:
        raise forbidden(
            attributes, "node requested token bound to a pod scheduled on a different node"
        )
    if len(requested.spec.audiences) > 1:
        raise forbidden(attributes, "node may only request 0 or 1 audiences")
    audience = requested.spec.audiences[0] if requested.spec.audiences else ""
    if audience in references.token_audiences(pod) or _is_for_driver(context, pod, audience):
        return
    question = authorization.Attributes(
        user=attributes.user,
        verb="request-serviceaccounts-token-audience",
        version="v1",
        resource=audience,
        namespace=attributes.namespace,
        name=attributes.name,
    )
    if not context.authorizer.authorize(question).allowed:
        raise forbidden(
            attributes,
            f"audience {gotext.quote(audience)} not found in pod spec volume, "
            f"{attributes.user.name} is not authorized to request tokens for this audience",
        )


def _is_for_driver(context: Context, pod: Pod, audience: str) -> bool:
    """Whether a CSI driver of the pod's volumes asks for tokens of the audience."""
    for name in _drivers(context, pod):
        driver = context.reader.get(CSIDriver, "", name)
        if driver is not None and any(
            request.audience == audience for request in driver.spec.tokenRequests
        ):
            return True
    return False


def _drivers(context: Context, pod: Pod) -> set[str]:
    found = {volume.csi.driver for volume in pod.spec.volumes if volume.csi is not None}
    for name in references.claims(pod):
        claim = context.reader.get(PersistentVolumeClaim, pod.metadata.namespace, name)
        if claim is None or not claim.spec.volumeName:
            continue
        volume = context.reader.get(PersistentVolume, "", claim.spec.volumeName)
        if volume is not None and volume.spec.csi is not None:
            found.add(volume.spec.csi.driver)
    return found

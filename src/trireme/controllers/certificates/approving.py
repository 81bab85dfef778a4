"""Approves what a kubelet asks for: its own client certificate, or one for a node that joins.

In: CertificateSigningRequests. Out: approvals, where whoever asks may create
``certificatesigningrequests/selfnodeclient`` or ``/nodeclient``. Run by ``manager``. Upstream:
pkg/controller/certificates/approver;
https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/#approval.
"""

from __future__ import annotations

from msgspec.structs import replace

from trireme.api.authorization.v1.attributes import ResourceAttributes, SubjectAccessReviewSpec
from trireme.api.authorization.v1.subjectaccessreview import SubjectAccessReview
from trireme.api.certificates.v1.csr_types import (
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
)
from trireme.controllers.certificates import decide_requests
from trireme.controllers.definition import ControllerContext, Definition
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key

WORKERS = 5
GROUP, RESOURCE = "certificates.k8s.io", "certificatesigningrequests"
# The subresource that allows it, and what is written on the request.
_OWN = ("selfnodeclient", "Auto approving self kubelet client certificate after "
        "SubjectAccessReview.")  # fmt: skip
_NEW = ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")


class NotApproved(Exception):
    """A request that looks like a kubelet's, of somebody who may not have it. Tried again: the
    rights may come."""


def make(context: ControllerContext) -> Controller:
    """Reconciles requests that nobody decided yet."""
    informer = context.informers.of(CertificateSigningRequest)

    async def reconcile(key: Key) -> None:
        request = informer.get(*key)
        if request is None or request.status.certificate or decide_requests.is_decided(request):
            return
        parsed = decide_requests.parsed(request.spec.request)
        signer, usages = request.spec.signerName, request.spec.usages
        if signer != decide_requests.KUBELET_CLIENT or decide_requests.problem(
            signer, parsed, usages
        ):
            return
        own = request.spec.username == decide_requests.common_name(parsed)
        tried = []
        for subresource, message in (_OWN, _NEW) if own else (_NEW,):
            tried.append(subresource)
            if await _may(context, request, subresource):
                await _approve(context, request, message)
                return
        context.env.log.debug(
            "recognized csr %s as [%s] but subject access review was not approved",
            key.name,
            " ".join(tried),
        )
        raise NotApproved(key.name)

    return Controller(
        "certificate",
        reconcile,
        context.env,
        triggers=[(informer, triggers.own())],
        workers=WORKERS,
    )


async def _may(
    context: ControllerContext, request: CertificateSigningRequest, subresource: str
) -> bool:
    spec = request.spec
    review = SubjectAccessReview(
        spec=SubjectAccessReviewSpec(
            user=spec.username,
            uid=spec.uid,
            groups=spec.groups,
            extra=spec.extra,
            resourceAttributes=ResourceAttributes(
                group=GROUP, resource=RESOURCE, verb="create", subresource=subresource, version="*"
            ),
        )
    )
    answer = await context.client.create(review)
    return answer.status.allowed


async def _approve(
    context: ControllerContext, request: CertificateSigningRequest, message: str
) -> None:
    approved = CertificateSigningRequestCondition(
        type="Approved", status="True", reason="AutoApproved", message=message
    )
    conditions = [*request.status.conditions, approved]
    changed = replace(request, status=replace(request.status, conditions=conditions))
    await context.client.update(changed, subresource="approval")


CONTROLLER = Definition(
    "certificatesigningrequest-approving-controller", make, account="certificate-controller"
)

"""Signs approved CertificateSigningRequests of Kubernetes' own signers with the cluster's CA.

In: requests. Out: certificates in their status, or the condition Failed. Run by ``manager`` where
it has a signing key. Upstream: pkg/controller/certificates/signer;
https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers.
"""

from __future__ import annotations

from msgspec.structs import replace

from trireme.api.certificates.v1.csr_types import (
    CertificateSigningRequest,
    CertificateSigningRequestCondition,
)
from trireme.controllers.certificates import decide_requests
from trireme.controllers.definition import ControllerContext, Definition
from trireme.kit import pki
from trireme.machinery import errors, time
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key

WORKERS = 5


def make(context: ControllerContext) -> Controller | None:
    """Reconciles requests that are approved; None without any key to sign with."""
    signing = context.settings.signing
    authorities = {
        decide_requests.CLIENT: signing.kube_apiserver_client,
        decide_requests.KUBELET_CLIENT: signing.kubelet_client,
        decide_requests.KUBELET_SERVING: signing.kubelet_serving,
        decide_requests.LEGACY: signing.legacy_unknown,
    }
    if not any(authorities.values()):
        return None
    informer = context.informers.of(CertificateSigningRequest)
    clock = context.env.clock

    async def reconcile(key: Key) -> None:
        request = informer.get(*key)
        if request is None:
            return
        spec = request.spec
        authority = authorities.get(spec.signerName)
        if (
            authority is None
            or request.status.certificate
            or not decide_requests.is_approved(request)
        ):
            return
        parsed = decide_requests.parsed(spec.request)
        problem = decide_requests.problem(spec.signerName, parsed, spec.usages)
        if problem:
            failed = CertificateSigningRequestCondition(
                type="Failed",
                status="True",
                reason="SignerValidationFailure",
                message=problem,
                lastUpdateTime=time.format(clock.now()),
            )
            status = replace(request.status, conditions=[*request.status.conditions, failed])
        else:
            lifetime = decide_requests.lifetime(spec.expirationSeconds, signing.duration)
            signed = pki.sign(authority, parsed, spec.usages, clock.now(), lifetime)
            status = replace(request.status, certificate=signed)
        try:
            await context.client.update_status(replace(request, status=status))
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    return Controller(
        "certificate",
        reconcile,
        context.env,
        triggers=[(informer, triggers.own())],
        workers=WORKERS,
    )


CONTROLLER = Definition(
    "certificatesigningrequest-signing-controller", make, account="certificate-controller"
)

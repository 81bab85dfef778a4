"""Who may approve and sign certificates and attest trust bundles; none is for system:masters.

Upstream: plugin/pkg/admission/certificates; https://kubernetes.io/docs/reference/access-authn-authz/
certificate-signing-requests/#authorization.
"""

from __future__ import annotations

from trireme.api.certificates import requests
from trireme.api.certificates.v1.csr_types import CertificateSigningRequest
from trireme.api.certificates.v1beta1.clustertrustbundle import ClusterTrustBundle
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.apiserver.authz import signers
from trireme.machinery import gotext
from trireme.machinery.resource import Resource

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
SUPERUSERS = "system:masters"


class CertificateApproval(PluginBase):
    """Decisions need the verb ``approve`` for the signer."""

    name = "CertificateApproval"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        kind = resource.type is CertificateSigningRequest
        return kind and subresource == "approval" and operation == "UPDATE"

    def validate(self, attributes: Attributes, context: Context) -> None:
        _check(attributes, context, "approve", attributes.old.spec.signerName)


class CertificateSigning(PluginBase):
    """A change of the status needs the verb ``sign`` for the signer."""

    name = "CertificateSigning"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        kind = resource.type is CertificateSigningRequest
        return kind and subresource == "status" and operation == "UPDATE"

    def validate(self, attributes: Attributes, context: Context) -> None:
        if attributes.new.status != attributes.old.status:
            _check(attributes, context, "sign", attributes.old.spec.signerName)


class ClusterTrustBundleAttest(PluginBase):
    """A bundle of a signer needs the verb ``attest`` for it."""

    name = "ClusterTrustBundleAttest"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is ClusterTrustBundle and operation in ("CREATE", "UPDATE")

    def validate(self, attributes: Attributes, context: Context) -> None:
        new, old = attributes.new, attributes.old
        signer = new.spec.signerName
        # What the garbage collector and a migration write needs no permission.
        if old is not None and _content(new) == _content(old):
            return
        if signer and not signers.may(context.authorizer, attributes.user, "attest", signer):
            detail = f"user not permitted to attest for signerName {gotext.quote(signer)}"
            raise forbidden(attributes, detail)


class CertificateSubjectRestriction(PluginBase):
    """No client certificate of the group that may do everything."""

    name = "CertificateSubjectRestriction"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        kind = resource.type is CertificateSigningRequest
        return kind and not subresource and operation == "CREATE"

    def validate(self, attributes: Attributes, context: Context) -> None:
        spec = attributes.new.spec
        if spec.signerName != CLIENT_SIGNER:
            return
        if SUPERUSERS in requests.organizations(spec.request):
            raise forbidden(
                attributes, f"use of {CLIENT_SIGNER} signer with {SUPERUSERS} group is not allowed"
            )


def _content(bundle: ClusterTrustBundle) -> tuple[object, ...]:
    return bundle.spec, bundle.metadata.labels, bundle.metadata.annotations


def _check(attributes: Attributes, context: Context, verb: str, signer: str) -> None:
    if not signers.may(context.authorizer, attributes.user, verb, signer):
        quoted = gotext.quote(signer)
        raise forbidden(
            attributes, f"user not permitted to {verb} requests with signerName {quoted}"
        )

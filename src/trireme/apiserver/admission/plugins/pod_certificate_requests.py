"""PodCertificateRequests: a certificate is valid from about now, and its signer may sign.

Upstream: pkg/registry/certificates/podcertificaterequest, where it is a part of the storage: its
words are those of validation.
"""

from __future__ import annotations

from trireme.api.certificates.v1beta1.pcr_types import PodCertificateRequest
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.apiserver.authz import signers
from trireme.machinery import errors, field, gotext, time
from trireme.machinery.resource import Resource

# Seconds between the begin of a certificate and the present time.
SKEW = 300.0


class PodCertificateRequests(PluginBase):
    """For the status of requests of pods for certificates."""

    name = "PodCertificateRequests"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        kind = resource.type is PodCertificateRequest
        return kind and subresource == "status" and operation == "UPDATE"

    def validate(self, attributes: Attributes, context: Context) -> None:
        new: PodCertificateRequest = attributes.new
        old: PodCertificateRequest = attributes.old
        if new.status == old.status:
            return
        resource = attributes.resource
        begin = new.status.notBefore
        if begin is not None and abs(time.parse(begin) - context.env.clock.now()) >= SKEW:
            where = field.path("status", "notBefore")
            detail = "must be set to within 5 minutes of kube-apiserver's current time"
            problem = field.invalid(where, begin, detail)
            raise errors.invalid(resource.group_kind, attributes.name, [problem])
        signer = old.spec.signerName
        if not signers.may(context.authorizer, attributes.user, "sign", signer):
            user = gotext.quote(attributes.user.name)
            detail = f'User {user} is not permitted to "sign" for signer {gotext.quote(signer)}'
            problem = field.forbidden(field.path("spec", "signerName"), detail)
            raise errors.invalid(resource.group_kind, attributes.name, [problem])

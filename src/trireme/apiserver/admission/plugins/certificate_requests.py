"""CertificateRequests: who asks for a certificate, and when a condition of the request changed.

What the request says of its user is replaced by who it is; conditions without times get the present
one. Upstream: pkg/registry/certificates/certificates, where it is a part of the storage.
"""

from __future__ import annotations

from trireme.api.certificates.v1.csr_types import CertificateSigningRequest
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.machinery import time
from trireme.machinery.resource import Resource


class CertificateRequests(PluginBase):
    """For certificate signing requests, and their status and approval."""

    name = "CertificateRequests"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        if resource.type is not CertificateSigningRequest:
            return False
        created = operation == "CREATE" and not subresource
        return created or (operation == "UPDATE" and subresource in ("status", "approval"))

    def admit(self, attributes: Attributes, context: Context) -> None:
        request: CertificateSigningRequest = attributes.new
        if attributes.operation == "CREATE":
            spec, user = request.spec, attributes.user
            spec.username, spec.uid, spec.groups = user.name, user.uid, [*user.groups]
            spec.extra = {key: [*values] for key, values in user.extra.items()}
            return
        _stamp(request, attributes.old, time.format(context.env.clock.now()))


def _stamp(new: CertificateSigningRequest, old: CertificateSigningRequest, now: str) -> None:
    before = {
        (item.type, item.status): item.lastTransitionTime
        for item in reversed(old.status.conditions)
        if item.lastTransitionTime
    }
    for item in new.status.conditions:
        item.lastUpdateTime = item.lastUpdateTime or now
        if not item.lastTransitionTime:
            item.lastTransitionTime = before.get((item.type, item.status), now)

"""Deletes CertificateSigningRequests that are decided or that nobody cares for, every hour.

In: requests. Out: deletions. Run by ``manager``. Upstream: pkg/controller/certificates/cleaner.
"""

from __future__ import annotations

from trireme.api.certificates.v1.csr_types import CertificateSigningRequest
from trireme.client.codec import Unreadable
from trireme.controllers.certificates import decide_requests
from trireme.controllers.definition import ControllerContext, Definition
from trireme.machinery import errors
from trireme.runtime.periodic import Periodic

PERIOD = 3600.0


def make(context: ControllerContext) -> Periodic:
    """Looks at all requests every hour."""
    informer = context.informers.of(CertificateSigningRequest)

    async def clean() -> None:
        now = context.env.clock.now()
        for request in informer.list():
            if not decide_requests.is_stale(request, now):
                continue
            name = request.metadata.name
            try:
                await context.client.delete(CertificateSigningRequest, name)
            except (errors.ApiError, OSError, Unreadable) as error:
                if not errors.is_not_found(error):
                    context.env.log.warning("unable to delete CSR %s: %s", name, error)

    return Periodic(clean, PERIOD, context.env, informers=[informer])


CONTROLLER = Definition(
    "certificatesigningrequest-cleaner-controller", make, account="certificate-controller"
)

"""PodCertificateRequests that are old are deleted: each was used within minutes, or never will be.

In: PodCertificateRequests, every five minutes. Out: their deletion. Run by ``manager`` with the
feature gate PodCertificateRequest. Upstream: pkg/controller/certificates/cleaner/pcrcleaner.go;
KEP-4317.
"""

from __future__ import annotations

from trireme.api.certificates.v1beta1.pcr_types import PodCertificateRequest
from trireme.client.codec import Unreadable
from trireme.controllers.definition import ControllerContext, Definition
from trireme.machinery import errors, meta, time
from trireme.runtime.periodic import Periodic

PERIOD, LIFETIME = 300.0, 900.0


def make(context: ControllerContext) -> Periodic:
    """Looks every five minutes."""
    informer = context.informers.of(PodCertificateRequest)

    async def clean() -> None:
        for item in informer.list():
            created = item.metadata.creationTimestamp
            if not created or context.env.clock.now() < time.parse(created) + LIFETIME:
                continue
            place = item.metadata
            options = meta.DeleteOptions(preconditions=meta.Preconditions(uid=place.uid))
            try:
                await context.client.delete(
                    PodCertificateRequest, place.name, place.namespace, options
                )
            except (errors.ApiError, OSError, Unreadable) as error:
                context.env.log.info("%s/%s: not deleted: %s", place.namespace, place.name, error)

    return Periodic(clean, PERIOD, context.env, informers=[informer])


CONTROLLER = Definition(
    "podcertificaterequest-cleaner-controller",
    make,
    account="podcertificaterequestcleaner",
    gate="PodCertificateRequest",
)

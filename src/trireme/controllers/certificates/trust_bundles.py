"""The authorities behind the API server's certificate, as a ClusterTrustBundle.

In: the root authority of the settings, the bundles of the signer kubernetes.io/kube-apiserver-
serving. Out: one bundle, named by its content, and no other of the signer. Run by ``manager`` with
the feature gate ClusterTrustBundle. Upstream:
pkg/controller/certificates/clustertrustbundlepublisher; KEP-3257.
"""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from trireme.api.certificates.v1beta1.clustertrustbundle import (
    ClusterTrustBundle,
    ClusterTrustBundleSpec,
)
from trireme.controllers.definition import ControllerContext, Definition
from trireme.machinery import errors, meta
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key

SIGNER = "kubernetes.io/kube-apiserver-serving"


def make(context: ControllerContext) -> Controller | None:
    """Reconciles the signer's bundles; None without an authority."""
    bundle = context.settings.root_ca
    if not bundle:
        return None
    selected = f"spec.signerName={SIGNER}"
    informer = context.informers.of(ClusterTrustBundle, field_selector=selected)
    client, desired = context.client, Key("", name_of(bundle))

    async def reconcile(_key: Key) -> None:
        known = informer.get(*desired)
        spec = ClusterTrustBundleSpec(signerName=SIGNER, trustBundle=bundle)
        if known is None:
            metadata = meta.ObjectMeta(name=desired.name)
            await client.create(ClusterTrustBundle(metadata=metadata, spec=spec))
        elif known.spec.trustBundle != bundle:
            await client.update(replace(known, spec=spec))
        for other in informer.list():
            if other.metadata.name != desired.name:
                try:
                    await client.delete(ClusterTrustBundle, other.metadata.name)
                except errors.ApiError as error:
                    if not errors.is_not_found(error):
                        raise

    controller = Controller(
        "ca_cert_publisher_cluster_trust_bundles",
        reconcile,
        context.env,
        triggers=[(informer, triggers.always(desired))],
    )
    controller.queue.add(desired)
    return controller


def name_of(bundle: str) -> str:
    """The name of a bundle: the signer, and the beginning of a hash of the content."""
    digest = hashlib.sha256(bundle.encode()).digest()[:12].hex()
    return f"{SIGNER.replace('/', ':')}:{digest}"


CONTROLLER = Definition(
    "kube-apiserver-serving-clustertrustbundle-publisher-controller",
    make,
    account="kube-apiserver-serving-clustertrustbundle-publisher",
    gate="ClusterTrustBundle",
)

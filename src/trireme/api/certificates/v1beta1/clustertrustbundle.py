"""ClusterTrustBundle: trust anchors for the whole cluster, with or without a signer.

In: ClusterTrustBundles. Called by: the write path, server-side printing. Upstream:
pkg/apis/certificates/validation, pkg/registry/certificates/clustertrustbundle; KEP-3257.
"""

from __future__ import annotations

from typing import Annotated, Final

from cryptography import x509

from trireme.api import columns, rules
from trireme.api.certificates import pem, signers
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Required, Struct, always, constant


class ClusterTrustBundleSpec(Struct):
    signerName: str = ""
    trustBundle: Annotated[str, Required()] = always(str)


class ClusterTrustBundle(Struct):
    kind: str = constant("ClusterTrustBundle")
    apiVersion: str = constant("certificates.k8s.io/v1beta1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[ClusterTrustBundleSpec, Required()] = always(ClusterTrustBundleSpec)


_LARGEST: Final = 1 << 20
_OMITTED: Final = "<value omitted>"


def validate(new: ClusterTrustBundle) -> Errors:
    """The name has the signer's prefix; the bundle holds CA certificates."""
    errs = _common(new)
    _bundle(errs, field.path("spec", "trustBundle"), new.spec.trustBundle)
    return errs


def validate_update(new: ClusterTrustBundle, old: ClusterTrustBundle) -> Errors:
    """The signer stays; certificates that did not change are not validated again."""
    errs = _common(new) if new.spec.trustBundle == old.spec.trustBundle else validate(new)
    at = field.path("spec")
    rules.unchanged(errs, at, "signerName", new.spec.signerName, old.spec.signerName)
    return errs


def _common(new: ClusterTrustBundle) -> Errors:
    errs: Errors = []
    signer, meta_at = new.spec.signerName, field.path("metadata")
    for part in ("generateName", "name"):
        name: str = getattr(new.metadata, part)
        if name:
            masked = names.mask_trailing_dash(name) if part == "generateName" else name
            rules.add(errs, meta_at.child(part), name, _name(masked, signer))
    if signer:
        signers.check(errs, field.path("spec", "signerName"), signer)
    return errs


def _name(name: str, signer: str) -> list[str]:
    if not signer:
        if ":" in name:
            return ['ClusterTrustBundle without signer name must not have ":" in its name']
        return names.is_dns1123_subdomain(name)
    prefix = signer.replace("/", ":") + ":"
    if not name.startswith(prefix):
        return [f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"]
    return names.is_dns1123_subdomain(name.removeprefix(prefix))


def _bundle(errs: Errors, at: Path, text: str) -> None:
    content = text.encode()
    if len(content) > _LARGEST:
        errs.append(field.too_long(at, _LARGEST))
        return
    places: dict[bytes, list[int]] = {}
    found: Errors = []
    for position, block in enumerate(pem.blocks(content)):
        problem = _entry(block)
        if problem:
            found.append(field.invalid(at, _OMITTED, f"entry {position} {problem}"))
        else:
            places.setdefault(block.content, []).append(position)
    if not found and not places:
        detail = "at least one trust anchor must be provided"
        found.append(field.invalid(at, _OMITTED, detail))
    if not any(error.detail.startswith("entry") for error in found):
        for indices in places.values():
            if len(indices) > 1:
                positions = " ".join(map(str, indices))
                detail = f"duplicate trust anchor (indices [{positions}])"
                found.append(field.invalid(at, _OMITTED, detail))
    errs += found


def _entry(block: pem.Block) -> str:
    if block.type != "CERTIFICATE":
        return f"has bad block type: {block.type}"
    if block.headers:
        return "has PEM block headers"
    try:
        certificate = x509.load_der_x509_certificate(block.content)
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "does not have the CA bit set"
    except ValueError:
        return "does not parse as X.509"
    return "" if basic.ca else "does not have the CA bit set"


RESOURCE = Resource(
    type=ClusterTrustBundle,
    plural="clustertrustbundles",
    namespaced=False,
    # The name's rules depend on the signer: ``validate`` has them.
    name_errors=lambda _name: [],
    validate=validate,
    validate_update=validate_update,
    unconditional_update=False,
    columns=(
        columns.NAME,
        Column(
            "SignerName",
            "spec.signerName",
            "The signer whose certificates it is for.",
            empty=columns.NONE,
        ),
    ),
    selectable={"spec.signerName": lambda obj: obj.spec.signerName},
    default_on=False,
    gate="ClusterTrustBundle",
)

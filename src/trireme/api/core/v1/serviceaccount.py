"""Types of serviceaccount: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns
from trireme.api.authentication.v1.tokenrequest import TokenRequest
from trireme.api.core.v1.references import LocalObjectReference, ObjectReference
from trireme.machinery import meta
from trireme.machinery.resource import Resource, Subresource
from trireme.machinery.types import Atomic, Merge, Struct, always, constant, listmap

ENFORCE_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"


class ServiceAccount(Struct):
    kind: str = constant("ServiceAccount")
    apiVersion: str = constant("v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    secrets: Annotated[list[ObjectReference], listmap("name"), Merge("name")] = []
    imagePullSecrets: Annotated[list[LocalObjectReference], Atomic()] = []
    automountServiceAccountToken: bool | None = None


def prepare_create(new: ServiceAccount) -> None:
    """References to Secrets keep only the name."""
    new.secrets = [ObjectReference(name=secret.name) for secret in new.secrets]


def prepare_update(new: ServiceAccount, _old: ServiceAccount) -> None:
    """As on create."""
    prepare_create(new)


def warnings(new: ServiceAccount, old: ServiceAccount | None) -> list[str]:
    """A deprecated annotation, when it is newly set."""
    if ENFORCE_MOUNTABLE not in new.metadata.annotations:
        return []
    if old is not None and ENFORCE_MOUNTABLE in old.metadata.annotations:
        return []
    return [
        f"metadata.annotations[{ENFORCE_MOUNTABLE}]: deprecated in v1.32+; prefer separate "
        "namespaces to isolate access to mounted secrets"
    ]


RESOURCE = Resource(
    type=ServiceAccount,
    plural="serviceaccounts",
    short_names=("sa",),
    subresources=(Subresource("token", ("create",), TokenRequest),),
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    warnings=warnings,
    returns_deleted=True,
    columns=(columns.NAME, columns.AGE),
)

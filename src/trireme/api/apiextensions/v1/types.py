"""Types of customresourcedefinition: see the API reference, apiextensions.k8s.io/v1."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from trireme.api.apiextensions.v1.jsonschema import JSONSchemaProps
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int32,
    Int64,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)

CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"

ESTABLISHED: Final = "Established"
NAMES_ACCEPTED: Final = "NamesAccepted"
NON_STRUCTURAL: Final = "NonStructuralSchema"
TERMINATING: Final = "Terminating"
APPROVED: Final = "KubernetesAPIApprovalPolicyConformant"


class CustomResourceDefinitionNames(Struct):
    plural: Annotated[str, Required()] = always(str)
    singular: str = ""
    shortNames: Annotated[list[str], Atomic()] = []
    kind: Annotated[str, Required()] = always(str)
    listKind: str = ""
    categories: Annotated[list[str], Atomic()] = []


class CustomResourceValidation(Struct):
    openAPIV3Schema: JSONSchemaProps | None = None


class CustomResourceSubresourceStatus(Struct):
    pass


class CustomResourceSubresourceScale(Struct):
    specReplicasPath: Annotated[str, Required()] = always(str)
    statusReplicasPath: Annotated[str, Required()] = always(str)
    labelSelectorPath: str | None = None


class CustomResourceSubresources(Struct):
    status: CustomResourceSubresourceStatus | None = None
    scale: CustomResourceSubresourceScale | None = None


class CustomResourceColumnDefinition(Struct):
    name: Annotated[str, Required()] = always(str)
    type: Annotated[str, Required()] = always(str)
    format: str = ""
    description: str = ""
    priority: Int32 = 0
    jsonPath: Annotated[str, Required()] = always(str)


class SelectableField(Struct):
    jsonPath: Annotated[str, Required()] = always(str)


class CustomResourceDefinitionVersion(Struct):
    name: Annotated[str, Required()] = always(str)
    served: Annotated[bool, Required()] = always(bool)
    storage: Annotated[bool, Required()] = always(bool)
    deprecated: bool = False
    deprecationWarning: str | None = None
    schema: CustomResourceValidation | None = None
    subresources: CustomResourceSubresources | None = None
    additionalPrinterColumns: Annotated[list[CustomResourceColumnDefinition], Atomic()] = []
    selectableFields: Annotated[list[SelectableField], Atomic()] = []


class ServiceReference(Struct):
    namespace: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)
    path: str | None = None
    port: Annotated[Int32 | None, Default(443)] = None


class WebhookClientConfig(Struct):
    url: str | None = None
    service: ServiceReference | None = None
    caBundle: bytes = b""


class WebhookConversion(Struct):
    clientConfig: WebhookClientConfig | None = None
    conversionReviewVersions: Annotated[list[str], Required(), Atomic()] = always(list)


class CustomResourceConversion(Struct):
    strategy: Annotated[str, Enum(("None", "Webhook")), Required()] = always(str)
    webhook: WebhookConversion | None = None


class CustomResourceDefinitionSpec(Struct):
    group: Annotated[str, Required()] = always(str)
    names: Annotated[CustomResourceDefinitionNames, Required()] = always(
        CustomResourceDefinitionNames
    )
    scope: Annotated[str, Enum(("Cluster", "Namespaced")), Required()] = always(str)
    versions: Annotated[list[CustomResourceDefinitionVersion], Required(), Atomic()] = always(list)
    conversion: CustomResourceConversion | None = None
    preserveUnknownFields: bool = False


class CustomResourceDefinitionCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    lastTransitionTime: Time | None = null()
    reason: str = ""
    message: str = ""
    observedGeneration: Int64 = 0


class CustomResourceDefinitionStatus(Struct):
    # Upstream writes null where these are not set.
    conditions: Annotated[list[CustomResourceDefinitionCondition] | None, listmap("type")] = (
        msgspec.field(default_factory=lambda: None)
    )
    acceptedNames: CustomResourceDefinitionNames = always(CustomResourceDefinitionNames)
    storedVersions: Annotated[list[str] | None, Atomic()] = msgspec.field(
        default_factory=lambda: None
    )
    observedGeneration: Int64 = 0


class CustomResourceDefinition(Struct):
    kind: str = constant("CustomResourceDefinition")
    apiVersion: str = constant("apiextensions.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: Annotated[CustomResourceDefinitionSpec, Required()] = always(CustomResourceDefinitionSpec)
    status: CustomResourceDefinitionStatus = always(CustomResourceDefinitionStatus)


def condition(
    status: CustomResourceDefinitionStatus, kind: str
) -> CustomResourceDefinitionCondition | None:
    """The condition of that type, if there is one."""
    return next((item for item in status.conditions or () if item.type == kind), None)


def is_true(status: CustomResourceDefinitionStatus, kind: str) -> bool:
    """Whether the condition of that type is True."""
    found = condition(status, kind)
    return found is not None and found.status == "True"


def set_condition(
    status: CustomResourceDefinitionStatus, desired: CustomResourceDefinitionCondition, now: str
) -> None:
    """Add or replace a condition. The transition time moves only when the status does."""
    found = condition(status, desired.type)
    if found is None:
        desired.lastTransitionTime = now
        status.conditions = [*(status.conditions or ()), desired]
        return
    if found.status != desired.status:
        found.status, found.lastTransitionTime = desired.status, now
    found.reason, found.message = desired.reason, desired.message
    found.observedGeneration = desired.observedGeneration


def storage_version(spec: CustomResourceDefinitionSpec) -> str:
    """The version that is stored; "" where none is marked (a definition that is not valid)."""
    return next((item.name for item in spec.versions if item.storage), "")


def schema_of(version: CustomResourceDefinitionVersion) -> JSONSchemaProps | None:
    """The version's schema, if it has one."""
    return None if version.schema is None else version.schema.openAPIV3Schema

"""Types of ValidatingWebhookConfiguration: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.admissionregistration.v1.matching import (
    FailurePolicy,
    MatchCondition,
    MatchPolicy,
    RuleWithOperations,
)
from trireme.api.admissionregistration.v1.webhook_types import (
    SideEffectClass,
    WebhookClientConfig,
)
from trireme.machinery import meta
from trireme.machinery.types import (
    Atomic,
    Default,
    Int32,
    Merge,
    Required,
    Struct,
    always,
    constant,
    listmap,
    null,
)


class ValidatingWebhook(Struct):
    name: Annotated[str, Required()] = always(str)
    clientConfig: Annotated[WebhookClientConfig, Required()] = always(WebhookClientConfig)
    rules: Annotated[list[RuleWithOperations], Atomic()] = []
    failurePolicy: Annotated[FailurePolicy | None, Default("Fail")] = None
    matchPolicy: Annotated[MatchPolicy | None, Default("Equivalent")] = None
    namespaceSelector: meta.LabelSelector | None = None
    objectSelector: meta.LabelSelector | None = None
    sideEffects: Annotated[SideEffectClass | None, Required()] = null()
    timeoutSeconds: Annotated[Int32 | None, Default(10)] = None
    admissionReviewVersions: Annotated[list[str] | None, Required(), Atomic()] = null()
    matchConditions: Annotated[list[MatchCondition], listmap("name"), Merge("name")] = []


class ValidatingWebhookConfiguration(Struct):
    kind: str = constant("ValidatingWebhookConfiguration")
    apiVersion: str = constant("admissionregistration.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    webhooks: Annotated[list[ValidatingWebhook], listmap("name"), Merge("name")] = []

"""Types of mutatingwebhookconfiguration: see the API reference, admissionregistration/v1."""

from __future__ import annotations

from trireme.api.admissionregistration.v1 import webhook_rules
from trireme.api.admissionregistration.v1.mutatingwebhookconfiguration_types import (
    MutatingWebhookConfiguration,
)
from trireme.machinery.resource import Resource

RESOURCE = Resource(
    type=MutatingWebhookConfiguration,
    plural="mutatingwebhookconfigurations",
    categories=("api-extensions",),
    namespaced=False,
    defaults=webhook_rules.defaults,
    validate=webhook_rules.validate,
    validate_update=webhook_rules.validate_update,
    warnings=webhook_rules.warnings,
    unconditional_update=False,
    generation=webhook_rules.changed,
    columns=webhook_rules.COLUMNS,
)

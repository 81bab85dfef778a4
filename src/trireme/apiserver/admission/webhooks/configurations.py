"""The webhooks that are configured, compiled anew only when a configuration changes.

In: the stored configurations. Out: ``Webhook``s: configurations by name, webhooks as listed.
Upstream: apiserver ``admission/configuration``, ``webhook/accessors``.
"""

from __future__ import annotations

from dataclasses import dataclass

from trireme.api.admissionregistration.v1.mutatingwebhookconfiguration_types import (
    MutatingWebhook,
    MutatingWebhookConfiguration,
)
from trireme.api.admissionregistration.v1.validatingwebhookconfiguration_types import (
    ValidatingWebhook,
    ValidatingWebhookConfiguration,
)
from trireme.apiserver.admission.contract import Attributes, Context, forbidden_by_name
from trireme.apiserver.admission.matching import variables
from trireme.apiserver.admission.matching.conditions import Conditions, EvaluationFailed
from trireme.apiserver.admission.matching.matcher import Matcher
from trireme.apiserver.admission.objects import Version
from trireme.apiserver.authz.contract import answered
from trireme.apiserver.cache.changes import Changes

Kind = type[MutatingWebhookConfiguration] | type[ValidatingWebhookConfiguration]


@dataclass(frozen=True, eq=False, slots=True)
class Webhook:
    """One webhook. ``uid`` tells it from all others of its sort."""

    uid: str
    configuration: str
    config: MutatingWebhook | ValidatingWebhook
    matcher: Matcher
    conditions: Conditions

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def ignores_failures(self) -> bool:
        return self.config.failurePolicy == "Ignore"

    async def match(self, attributes: Attributes, context: Context) -> Version | None:
        """The version that it wants to see a write in; None where the write is not its own."""
        found = self.matcher.match(attributes, context)
        if found is None or not self.conditions:
            return found
        values = await variables.of(attributes, context, found)
        try:
            return found if await answered(lambda: self.conditions.hold(values)) else None
        except EvaluationFailed as problem:
            raise forbidden_by_name(attributes, str(problem)) from None


class Configurations:
    """The webhooks of one kind of configuration."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._changes: Changes | None = None
        self._webhooks: list[Webhook] = []

    def webhooks(self, context: Context) -> list[Webhook]:
        """Those that are configured now."""
        if self._changes is None:
            self._changes = context.reader.changes(self._kind)
        if self._changes.any():
            self._webhooks = self._compiled(context)
        return self._webhooks

    def _compiled(self, context: Context) -> list[Webhook]:
        found: list[Webhook] = []
        for configuration in context.reader.list(self._kind):
            name, observed = configuration.metadata.name, dict[str, int]()
            for config in configuration.webhooks:
                count = observed[config.name] = observed.get(config.name, -1) + 1
                found.append(_webhook(f"{name}/{config.name}/{count}", name, config))
        return found


def _webhook(uid: str, configuration: str, config: MutatingWebhook | ValidatingWebhook) -> Webhook:
    matcher = Matcher(
        config.rules,
        config.namespaceSelector,
        config.objectSelector,
        equivalent=config.matchPolicy == "Equivalent",
    )
    fails = config.failurePolicy != "Ignore"
    return Webhook(
        uid, configuration, config, matcher, Conditions(config.matchConditions, fails=fails)
    )

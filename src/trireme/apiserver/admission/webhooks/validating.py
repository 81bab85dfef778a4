"""ValidatingAdmissionWebhook: webhooks that may refuse what is written, all asked at once.

The request fails with the first error that comes in. Upstream: apiserver
``admission/plugin/webhook/validating``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from trireme.api.admissionregistration.v1.validatingwebhookconfiguration_types import (
    ValidatingWebhookConfiguration,
)
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.apiserver.admission.matching import rules
from trireme.apiserver.admission.objects import Version
from trireme.apiserver.admission.webhooks import call
from trireme.apiserver.admission.webhooks.call import CallFailed, Converted
from trireme.apiserver.admission.webhooks.configurations import Configurations, Webhook
from trireme.apiserver.admission.webhooks.settings import ClientAuth
from trireme.machinery import errors
from trireme.machinery.resource import Resource

_FAILED_OPEN = "failed-open.validating.webhook.admission.k8s.io/"


class ValidatingAdmissionWebhook(PluginBase):
    """For every write but those of admission's own configuration."""

    name = "ValidatingAdmissionWebhook"
    configured_by = (ValidatingWebhookConfiguration,)

    def __init__(self, auth: ClientAuth | None = None) -> None:
        self._configurations = Configurations(ValidatingWebhookConfiguration)
        self._auth = auth or ClientAuth()

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return not rules.exempt(resource)

    def validate(self, attributes: Attributes, context: Context) -> Awaitable[None] | None:
        webhooks = self._configurations.webhooks(context)
        return self._dispatch(webhooks, attributes, context) if webhooks else None

    async def _dispatch(
        self, webhooks: list[Webhook], attributes: Attributes, context: Context
    ) -> None:
        observed: dict[Version, Converted] = {}
        calls: list[tuple[Webhook, Converted]] = []
        for webhook in webhooks:
            version = await webhook.match(attributes, context)
            if version is None:
                continue
            if version not in observed:
                observed[version] = await call.convert(attributes, version)
            calls.append((webhook, observed[version]))
        if not calls:
            return
        problems: list[errors.ApiError] = []

        async def one(index: int, webhook: Webhook, converted: Converted) -> None:
            try:
                await self._call(index, webhook, converted, attributes, context)
            except errors.ApiError as problem:
                problems.append(problem)

        if len(calls) == 1:
            await one(0, *calls[0])
        else:
            async with asyncio.TaskGroup() as group:
                for index, (webhook, converted) in enumerate(calls):
                    group.create_task(one(index, webhook, converted))
        if problems:
            raise problems[0]

    async def _call(
        self,
        index: int,
        webhook: Webhook,
        observed: Converted,
        attributes: Attributes,
        context: Context,
    ) -> None:
        try:
            credentials = self._auth.of(webhook.config.clientConfig)
            await call.ask(webhook, attributes, context, observed, credentials, mutating=False)
        except CallFailed as problem:
            if not webhook.ignores_failures:
                raise errors.internal_error(problem) from None
            context.env.log.warning("Failed calling webhook, failing open: %s", problem)
            attributes.annotate(f"{_FAILED_OPEN}round_0_index_{index}", webhook.name)

"""MutatingAdmissionWebhook: webhooks that may change what is written, one after the other.

Each sees what those before it made. A change runs the whole admit pass a second time; there only
webhooks are asked again whose policy is IfNeeded and after whose call something changed.
Upstream: apiserver ``admission/plugin/webhook/mutating``; KEP-492.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from trireme.api.admissionregistration.v1.mutatingwebhookconfiguration_types import (
    MutatingWebhook,
    MutatingWebhookConfiguration,
)
from trireme.apiserver.admission import objects
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.apiserver.admission.matching import rules
from trireme.apiserver.admission.webhooks import call
from trireme.apiserver.admission.webhooks.call import CallFailed, Converted
from trireme.apiserver.admission.webhooks.configurations import Configurations, Webhook
from trireme.apiserver.admission.webhooks.review import AdmissionResponse
from trireme.apiserver.admission.webhooks.settings import ClientAuth
from trireme.machinery import errors, gotext
from trireme.machinery.codec import json
from trireme.machinery.patch import json_patch
from trireme.machinery.resource import Resource

_PATCHED = "patch.webhook.admission.k8s.io/"
_MUTATED = "mutation.webhook.admission.k8s.io/"


@dataclass(slots=True)
class _Rounds:
    """What the second round needs of the first: JSON of the object after the webhooks of a round,
    the webhooks that may be asked again, and those that have to be."""

    output: bytes = b""
    reinvocable: set[str] = field(default_factory=set)
    desired: set[str] = field(default_factory=set)

    def changed(self) -> None:
        """Something has changed the object after all webhooks that were asked so far."""
        self.desired |= self.reinvocable
        self.reinvocable.clear()


class MutatingAdmissionWebhook(PluginBase):
    """For every write but those of admission's own configuration."""

    name = "MutatingAdmissionWebhook"
    configured_by = (MutatingWebhookConfiguration,)

    def __init__(self, auth: ClientAuth | None = None) -> None:
        self._configurations = Configurations(MutatingWebhookConfiguration)
        self._auth = auth or ClientAuth()

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return not rules.exempt(resource)

    def admit(self, attributes: Attributes, context: Context) -> Awaitable[None] | None:
        webhooks = self._configurations.webhooks(context)
        return self._dispatch(webhooks, attributes, context) if webhooks else None

    async def _dispatch(
        self, webhooks: list[Webhook], attributes: Attributes, context: Context
    ) -> None:
        rounds: _Rounds = attributes.state.setdefault(self.name, _Rounds())
        if attributes.is_reinvocation:
            if not (rounds.reinvocable or rounds.desired):
                return
            if rounds.reinvocable and await _output(attributes) != rounds.output:
                rounds.changed()
        observed: Converted | None = None
        for index, webhook in enumerate(webhooks):
            version = await webhook.match(attributes, context)
            if version is None:
                continue
            if attributes.is_reinvocation and webhook.uid not in rounds.desired:
                continue
            if observed is None or observed.version != version:
                observed = await call.convert(attributes, version)
            if await self._call(webhook, index, attributes, context, observed):
                observed = None
                rounds.changed()
                attributes.reinvoke = True
            config = webhook.config
            assert isinstance(config, MutatingWebhook)
            if config.reinvocationPolicy == "IfNeeded":
                rounds.reinvocable.add(webhook.uid)
        if rounds.reinvocable and not attributes.is_reinvocation:
            rounds.output = await _output(attributes)

    async def _call(
        self,
        webhook: Webhook,
        index: int,
        attributes: Attributes,
        context: Context,
        observed: Converted,
    ) -> bool:
        """Ask one webhook; whether it changed the object."""
        at = f"round_{int(attributes.is_reinvocation)}_index_{index}"
        changed = False
        try:
            credentials = self._auth.of(webhook.config.clientConfig)
            response = await call.ask(
                webhook, attributes, context, observed, credentials, mutating=True
            )
            changed = await _apply(webhook, response, attributes, observed, at)
        except CallFailed as problem:
            if not webhook.ignores_failures:
                raise errors.internal_error(problem) from None
            context.env.log.warning("Failed calling webhook, failing open: %s", problem)
            attributes.annotations[f"failed-open.{_MUTATED}{at}"] = webhook.name
        finally:
            note = {
                "configuration": webhook.configuration,
                "webhook": webhook.name,
                "mutated": changed,
            }
            attributes.annotations[f"{_MUTATED}{at}"] = json.encode(note).decode()
        return changed


async def _output(attributes: Attributes) -> bytes:
    if attributes.new is None:
        return b""
    version = objects.version(attributes.endpoint, attributes.subresource)
    return await attributes.objects.converted(attributes.new, version)


async def _apply(
    webhook: Webhook,
    response: AdmissionResponse,
    attributes: Attributes,
    observed: Converted,
    at: str,
) -> bool:
    """Apply the patch of a response; whether that changed the object."""
    if not response.patch:
        return False
    try:
        patch = json.plain(response.patch)
        steps = _steps(patch)
    except (msgspec.DecodeError, RecursionError, errors.ApiError) as problem:
        text = problem.message if isinstance(problem, errors.ApiError) else str(problem)
        raise CallFailed(
            webhook.name, f"received undecodable patch in webhook response: {text}"
        ) from None
    if not steps:
        return False
    if observed.new is None:
        raise errors.internal_error(
            f"admission webhook {gotext.quote(webhook.name)} attempted to modify the object, which "
            "is not supported for this operation"
        )
    if response.patchType != "JSONPatch":
        kind = gotext.quote(response.patchType or "")
        raise CallFailed(webhook.name, f"unsupported patch type {kind}")
    before = json.plain(observed.new)
    try:
        after = json_patch.apply(before, steps)
    except errors.ApiError as problem:
        causes = problem.details.causes if problem.details is not None else []
        raise errors.internal_error(causes[0].message if causes else problem.message) from None
    note = {
        "configuration": webhook.configuration,
        "webhook": webhook.name,
        "patch": patch,
        "patchType": response.patchType,
    }
    attributes.annotations[f"{_PATCHED}{at}"] = json.encode(note).decode()
    way = attributes.objects
    await way.take(attributes.new, json.encode(after), observed.version)
    return after != before and await way.converted(attributes.new, observed.version) != observed.new


def _steps(patch: Any) -> list[json_patch.Operation]:
    """The operations of a patch. ApiError where it is none."""
    items: list[Any] = patch if isinstance(patch, list) else [None]
    for item in items:
        fields = item if isinstance(item, dict) else {"op": None}
        if not all(isinstance(fields.get(name, ""), str) for name in ("op", "path", "from")):
            raise errors.bad_request("a JSON patch is a list of operations")
    return json_patch.operations(items)

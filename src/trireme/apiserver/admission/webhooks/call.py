"""One call of one webhook: from a write to a checked response.

In: a webhook, the version that it wants, a write. Out: its response, warnings and audit annotations
taken over; ``CallFailed`` where nobody answers, or not what may be answered; ApiError where the
webhook refuses the write. Upstream: apiserver ``webhook/mutating`` and ``validating`` dispatchers.
"""

from __future__ import annotations

from dataclasses import dataclass

from trireme.apiserver import hooks
from trireme.apiserver.admission.contract import Attributes, Context
from trireme.apiserver.admission.matching import request as requests
from trireme.apiserver.admission.objects import Version
from trireme.apiserver.admission.webhooks import monitoring, review
from trireme.apiserver.admission.webhooks.configurations import Webhook
from trireme.apiserver.admission.webhooks.monitoring import Outcome
from trireme.apiserver.admission.webhooks.review import AdmissionResponse, BadAnswer
from trireme.apiserver.hooks import Credentials
from trireme.machinery import errors, gotext

# Seconds where a webhook says nothing.
_TIMEOUT = 10


class CallFailed(Exception):
    """The webhook could not be asked; its failure policy says what that means. ``code``: of what it
    answered, else 503."""

    def __init__(self, name: str, reason: str, code: int = 503) -> None:
        super().__init__(f"failed calling webhook {gotext.quote(name)}: {reason}")
        self.code = code


@dataclass(slots=True)
class Converted:
    """The objects of a write as JSON of one version: made once for all webhooks that want it."""

    version: Version
    new: bytes | None
    old: bytes | None


async def convert(attributes: Attributes, version: Version) -> Converted:
    """The objects of a write in a version. ApiError."""
    way = attributes.objects
    new, old = attributes.new, attributes.old
    return Converted(
        version,
        None if new is None else await way.converted(new, version),
        None if old is None else await way.converted(old, version),
    )


async def ask(
    webhook: Webhook,
    attributes: Attributes,
    context: Context,
    observed: Converted,
    credentials: Credentials,
    *,
    mutating: bool,
) -> AdmissionResponse:
    """The response of a webhook that allows the write. CallFailed, ApiError."""
    now = context.env.clock.monotonic
    began, code, error, failed_open = now(), 200, "", False
    try:
        return await _ask(webhook, attributes, context, observed, credentials, mutating=mutating)
    except CallFailed as problem:
        code, failed_open = problem.code, webhook.ignores_failures
        error = "" if failed_open else monitoring.CALLING
        raise
    except errors.ApiError as refusal:
        code, error = refusal.code, monitoring.NONE
        raise
    finally:
        operation = attributes.operation
        outcome = Outcome(
            webhook.name, mutating, operation, now() - began, code, error, failed_open
        )
        monitoring.observe(context.env.metrics, outcome)


async def _ask(
    webhook: Webhook,
    attributes: Attributes,
    context: Context,
    observed: Converted,
    credentials: Credentials,
    *,
    mutating: bool,
) -> AdmissionResponse:
    name, config = webhook.name, webhook.config
    if attributes.dry_run and config.sideEffects not in ("None", "NoneOnDryRun"):
        raise review.no_dry_run(name)
    version = review.version(config.admissionReviewVersions)
    if version is None:
        raise CallFailed(
            name,
            "could not create admission objects: webhook does not accept known AdmissionReview "
            "versions (v1, v1beta1)",
            400,
        )
    uid = context.env.uid()
    fields = requests.fields(attributes, observed.version)
    body = review.request(version, uid, fields, observed.new, observed.old)
    # The request's own time is the server's to watch (``filters/deadline``).
    timeout = float(config.timeoutSeconds or _TIMEOUT)
    try:
        answer = await context.hooks(config.clientConfig, body, timeout, credentials)
    except OSError as problem:
        raise CallFailed(name, f"failed to call webhook: {problem}") from None
    failed = hooks.failure(answer)
    if failed is not None:
        raise CallFailed(name, f"failed to call webhook: {failed.message}", failed.code)
    try:
        response = review.answer(answer.body, version, uid, mutating=mutating)
    except BadAnswer as problem:
        raise CallFailed(name, f"received invalid webhook response: {problem}") from None
    except errors.ApiError as problem:
        raise CallFailed(name, f"failed to call webhook: {problem.message}") from None
    for key, value in response.auditAnnotations.items():
        attributes.annotate(f"{name}/{key}", value)
    attributes.warnings += response.warnings
    if not response.allowed:
        raise review.denial(name, response.status)
    return response

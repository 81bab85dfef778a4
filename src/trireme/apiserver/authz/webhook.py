"""An authorizer elsewhere: it is sent a SubjectAccessReview.

In: a question. Out: its decision, at once where its conditions exclude the question or the answer
is still known, else once it has answered. Called by ``union``. Upstream: apiserver
``plugin/pkg/authorizer/webhook``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from trireme.apiserver.authz.configuration import Webhook
from trireme.apiserver.authz.contract import Attributes, Decision, Unanswered
from trireme.apiserver.webhook_client import WebhookClient, WebhookError
from trireme.client.kubeconfig import Access
from trireme.expr import cel
from trireme.kit.env import Env
from trireme.machinery import fields, labels

NAME = "webhook"
CACHE_SIZE = 8192
# Of longer questions the answers are not kept.
MOST_CACHED = 10_000
_NO_OPINION = Decision(False)
_OPERATORS = {"=": "In", "==": "In", "in": "In", "!=": "NotIn", "notin": "NotIn",
              "exists": "Exists", "!": "DoesNotExist"}  # fmt: skip


class _Status(msgspec.Struct):
    allowed: bool = False
    denied: bool = False
    reason: str = ""
    evaluationError: str = ""


class WebhookAuthorizer:
    """One webhook; ``close`` when done."""

    def __init__(self, settings: Webhook, access: Access, env: Env) -> None:
        self.settings = settings
        self._client = WebhookClient(access, env)
        self._env = env
        self._answers: dict[bytes, tuple[Decision, float]] = {}

    def authorize(self, attributes: Attributes) -> Decision:
        """The decision that is known; ``Unanswered`` for any other, which takes a session."""
        known = self.known(attributes)
        if known is None:
            raise Unanswered(_no_session)
        return known

    def session(self) -> _Session:
        """What remembers all that was answered to it."""
        return _Session(self)

    def known(self, attributes: Attributes) -> Decision | None:
        """The decision, None where the webhook has to be asked."""
        spec = _spec(attributes)
        if self.settings.conditions:
            excluded = self._excluded(spec)
            if excluded is not None:
                return excluded
        found = self._answers.get(msgspec.json.encode(spec))
        if found is None or found[1] <= self._env.clock.monotonic():
            return None
        return found[0]

    async def ask(self, attributes: Attributes) -> Decision:
        """What the webhook answers; what its failure policy says where it does not."""
        settings, spec = self.settings, _spec(attributes)
        sent: dict[str, Any] = dict(spec)
        if settings.version == "v1beta1" and "groups" in sent:
            sent["group"] = sent.pop("groups")
        review = {
            "kind": "SubjectAccessReview",
            "apiVersion": f"authorization.k8s.io/{settings.version}",
            "spec": sent,
        }
        try:
            answer = await self._client.review(review, settings.timeout)
            status = msgspec.convert(answer.get("status") or {}, _Status)
        except (WebhookError, msgspec.ValidationError) as error:
            self._env.log.error("failed to make webhook authorizer request: %s", error)
            return Decision(False, denied=settings.denies_on_failure, error=str(error))
        decision = _decision(status)
        ttl = settings.authorized_ttl if status.allowed else settings.unauthorized_ttl
        key = msgspec.json.encode(spec)
        if ttl and len(key) < MOST_CACHED:
            if len(self._answers) >= CACHE_SIZE:
                self._answers.clear()
            self._answers[key] = decision, self._env.clock.monotonic() + ttl
        return decision

    async def close(self) -> None:
        """Close what is open."""
        await self._client.close()

    def _excluded(self, spec: Mapping[str, Any]) -> Decision | None:
        """The decision where the webhook is not to be asked: a condition is false, or none is and
        some cannot be evaluated."""
        described = {"user": "", "groups": [], "uid": "", "extra": {}, **spec}
        resource = spec.get("resourceAttributes")
        if resource is not None:
            whole = dict.fromkeys(_RESOURCE, "") | resource
            described["resourceAttributes"] = whole
        problem = ""
        for program in self.settings.conditions:
            try:
                holds, _ = program.evaluate({"request": described})
            except cel.EvalError as error:
                problem = problem or (
                    f"cel evaluation error: expression '{program.text}' resulted in error: {error}"
                )
                continue
            if holds is False:
                return _NO_OPINION
        if problem:
            return Decision(False, denied=self.settings.denies_on_failure, error=problem)
        return None


class _Session:
    """The webhook for what is computed with several questions."""

    def __init__(self, webhook: WebhookAuthorizer) -> None:
        self._webhook = webhook
        self._answers: list[tuple[Attributes, Decision]] = []

    def authorize(self, attributes: Attributes) -> Decision:
        for asked, decision in self._answers:
            if asked == attributes:
                return decision
        known = self._webhook.known(attributes)
        if known is not None:
            return known

        async def answer() -> None:
            self._answers.append((attributes, await self._webhook.ask(attributes)))

        raise Unanswered(answer)


async def _no_session() -> None:
    raise RuntimeError("a webhook was asked without a session that remembers its answer")


def _decision(status: _Status) -> Decision:
    if status.denied and status.allowed:
        error = "webhook subject access review returned both allow and deny response"
        return Decision(False, status.reason, denied=True, error=error)
    return Decision(status.allowed and not status.denied, status.reason, status.denied)


_RESOURCE = ("namespace", "verb", "group", "version", "resource", "subresource", "name")


def _spec(attributes: Attributes) -> dict[str, Any]:
    """The spec of the review, as Go would encode it: what is empty is left out."""
    user = attributes.user
    spec: dict[str, Any] = {}
    if attributes.is_resource:
        about: dict[str, Any] = {name: getattr(attributes, name) for name in _RESOURCE}
        about = {name: value for name, value in about.items() if value}
        requirements = _field_requirements(attributes.field_selector)
        if requirements:
            about["fieldSelector"] = {"requirements": requirements}
        requirements = _label_requirements(attributes.label_selector)
        if requirements:
            about["labelSelector"] = {"requirements": requirements}
        spec["resourceAttributes"] = about
    else:
        spec["nonResourceAttributes"] = {"path": attributes.path, "verb": attributes.verb}
    if user.name:
        spec["user"] = user.name
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}
    if user.uid:
        spec["uid"] = user.uid
    return spec


def _field_requirements(text: str) -> list[dict[str, Any]]:
    try:
        selector = fields.parse(text) if text else fields.everything()
    except ValueError:
        # Broader than what is meant; the list itself answers what is wrong.
        return []
    return [
        {"key": item.field, "operator": _OPERATORS[item.operator], "values": [item.value]}
        for item in selector.requirements
        if item.operator in _OPERATORS
    ]


def _label_requirements(text: str) -> list[dict[str, Any]]:
    try:
        selector = labels.parse(text) if text else labels.everything()
    except ValueError:
        return []
    return [
        {"key": item.key, "operator": _OPERATORS[item.operator]}
        | ({"values": list(item.values)} if item.values else {})
        for item in selector.requirements
        if item.operator in _OPERATORS
    ]

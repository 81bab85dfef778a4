"""Ask the authorizer whether the user may do what the request asks for; 403 if not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trireme.apiserver.authz import requests
from trireme.apiserver.authz.contract import Attributes, Decision, Unanswered
from trireme.apiserver.authz.union import UnionAuthorizer
from trireme.apiserver.monitoring import access
from trireme.apiserver.monitoring.access import AccessMetrics
from trireme.apiserver.request import Request
from trireme.machinery import errors


def check(
    authorizer: UnionAuthorizer, metrics: AccessMetrics, now: Callable[[], float], request: Request
) -> Awaitable[None] | None:
    """Return when the request is allowed; what to wait for where a webhook has to be asked."""
    began = now()
    attributes = requests.attributes(request, request.info.verb)
    try:
        decision = authorizer.authorize(attributes)
    except Unanswered:
        return _asked(authorizer, metrics, now, request, attributes)
    metrics.authorized(_result(decision), now() - began)
    _follow(request, attributes, decision)
    return None


async def _asked(
    authorizer: UnionAuthorizer,
    metrics: AccessMetrics,
    now: Callable[[], float],
    request: Request,
    attributes: Attributes,
) -> None:
    began = now()
    decision = await authorizer.ask(attributes)
    metrics.authorized(_result(decision), now() - began)
    _follow(request, attributes, decision)


def _result(decision: Decision) -> str:
    if decision.allowed:
        return access.ALLOWED
    if decision.error:
        return access.ERROR
    return access.DENIED if decision.denied else access.NO_OPINION


def _follow(request: Request, attributes: Attributes, decision: Decision) -> None:
    if request.audit is not None:
        _annotate(request, decision)
    if not decision.allowed:
        raise _refusal(attributes, decision)


def _annotate(request: Request, decision: Decision) -> None:
    request.annotations["authorization.k8s.io/decision"] = "allow" if decision.allowed else "forbid"
    request.annotations["authorization.k8s.io/reason"] = decision.reason


def _refusal(attributes: Attributes, decision: Decision) -> errors.ApiError:
    if decision.error:
        return errors.internal_error(decision.error)
    return requests.denied(attributes, decision.reason)

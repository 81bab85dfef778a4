"""ValidatingAdmissionPolicies: expressions that refuse writes, warn of them, or note them.

Upstream: apiserver ``policy/validating``; KEP-3488;
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, NamedTuple

import msgspec

from trireme.api.admissionregistration.v1.validatingadmissionpolicy_types import (
    ValidatingAdmissionPolicy,
)
from trireme.api.admissionregistration.v1.validatingadmissionpolicybinding_types import (
    ValidatingAdmissionPolicyBinding,
)
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.apiserver.admission.objects import Version
from trireme.apiserver.admission.policies import hooks, monitoring, validator
from trireme.apiserver.admission.policies.hooks import Hook, Hooks, Invocation, Values
from trireme.apiserver.admission.policies.validator import Denial
from trireme.kit.env import Env
from trireme.machinery import errors, gotext
from trireme.machinery.resource import Resource
from trireme.machinery.status import StatusCause

_FAILURE: Final = "validation.policy.admission.k8s.io/validation_failure"
_CODES: Final = {errors.FORBIDDEN: 403, errors.UNAUTHORIZED: 401, errors.INVALID: 422} | {
    errors.REQUEST_ENTITY_TOO_LARGE: 413
}
_Matching = list[tuple[Hook[validator.Policy], Version | errors.ApiError]]


class _Denied(NamedTuple):
    policy: str
    binding: str
    denial: Denial


class _Failure(msgspec.Struct):
    message: str
    policy: str
    binding: str
    expressionIndex: int
    validationActions: list[str]


class ValidatingAdmissionPolicies(PluginBase):
    name = "ValidatingAdmissionPolicy"
    configured_by = (ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding)

    def __init__(self) -> None:
        self._hooks: Hooks[validator.Policy] = Hooks(
            ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, validator.Policy
        )

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return hooks.handles(resource.group_resource)

    def validate(self, attributes: Attributes, context: Context) -> Awaitable[None] | None:
        matching = self._hooks.matching(attributes, context)
        return self._validate(attributes, context, matching) if matching else None

    async def _validate(
        self, attributes: Attributes, context: Context, matching: _Matching
    ) -> None:
        denied: list[_Denied] = []
        values = Values(attributes, context)
        for hook, version in matching:
            found: list[Invocation] = []
            if isinstance(version, errors.ApiError):
                problems = [hooks.Error(hook, None, version.message)]
            else:
                found, problems = await self._hooks.invocations(hook, version, attributes, context)
            if hook.compiled.fails:
                denied += [_configuration(problem) for problem in problems]
            notes: dict[str, list[str]] = {}
            for invocation in found:
                denied += await _ask(invocation, values, attributes, context.env, notes)
            for key, texts in notes.items():
                attributes.annotate(f"{hook.name}/{key}", ", ".join(texts))
        if denied:
            raise _refusal(attributes, denied[0])


async def _ask(
    invocation: Invocation,
    values: Values,
    attributes: Attributes,
    env: Env,
    notes: dict[str, list[str]],
) -> list[_Denied]:
    """Evaluate a policy for one binding and parameter, and do what follows from violations."""
    hook, bound = invocation.hook, invocation.bound
    compiled: validator.Policy = hook.compiled
    activation = await values.of(invocation, compiled.uses)
    matching = values.matching(activation, invocation) if compiled.conditions else activation
    began = env.clock.monotonic()
    outcome = compiled.decide(activation, matching)
    seconds = env.clock.monotonic() - began
    denied = []
    for position, denial in enumerate(outcome.denials):
        if denial is None:
            continue
        for action in bound.binding.spec.validationActions:
            monitoring.observe(env.metrics, hook.name, bound.name, action.lower(), seconds)
            match action:
                case "Deny":
                    denied.append(_Denied(hook.name, bound.name, denial))
                case "Audit":
                    note = _failure(bound.binding, position, denial)
                    attributes.annotate(_FAILURE, note)
                case "Warn":
                    attributes.warnings.append(
                        f"Validation failed for ValidatingAdmissionPolicy '{hook.name}' with "
                        f"binding '{bound.name}': {denial.message}"
                    )
    for key, text in outcome.annotations:
        texts = notes.setdefault(key, [])
        if text not in texts:
            texts.append(text)
    for denial in outcome.annotation_errors:
        monitoring.observe(env.metrics, hook.name, bound.name, "deny", seconds)
        denied.append(_Denied(hook.name, bound.name, denial))
    return denied


def _failure(binding: Any, position: int, denial: Denial) -> str:
    """The annotation for the audit event."""
    spec = binding.spec
    failure = _Failure(
        denial.message, spec.policyName, binding.metadata.name, position, spec.validationActions
    )
    return gotext.json([failure])


def _configuration(problem: hooks.Error) -> _Denied:
    what = "policy" if problem.bound is None else "binding"
    name = "" if problem.bound is None else problem.bound.name
    message = f"failed to configure {what}: {problem.message}"
    return _Denied(problem.hook.name, name, Denial(message))


def _refusal(attributes: Attributes, denied: _Denied) -> errors.ApiError:
    with_binding = f" with binding '{denied.binding}'" if denied.binding else ""
    message = (
        f"ValidatingAdmissionPolicy '{denied.policy}'{with_binding} denied request: "
        f"{denied.denial.message}"
    )
    error = forbidden(attributes, message)
    error.reason = denied.denial.reason or errors.INVALID
    error.code = _CODES.get(error.reason, 422)
    assert error.details is not None
    error.details.causes = [StatusCause(message=message)]
    return error

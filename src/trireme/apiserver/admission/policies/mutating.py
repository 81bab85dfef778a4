"""MutatingAdmissionPolicies: expressions that change what is written.

Upstream: apiserver ``policy/mutating``; KEP-3962;
https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import msgspec

from trireme.api.admissionregistration.v1 import expressions
from trireme.api.admissionregistration.v1.expressions import Compiler
from trireme.api.admissionregistration.v1.mutatingadmissionpolicy_types import (
    MutatingAdmissionPolicy,
    Mutation,
)
from trireme.api.admissionregistration.v1.mutatingadmissionpolicybinding_types import (
    MutatingAdmissionPolicyBinding,
)
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.apiserver.admission.matching.conditions import Conditions, EvaluationFailed
from trireme.apiserver.admission.objects import Version
from trireme.apiserver.admission.policies import evaluate, hooks, patches
from trireme.apiserver.admission.policies.evaluate import Compiled, Failure, OutOfBudget
from trireme.apiserver.admission.policies.hooks import Hook, Hooks, Invocation, Values
from trireme.apiserver.admission.policies.patches import Failed
from trireme.expr import cel
from trireme.machinery import errors, gotext
from trireme.machinery.apply import atom
from trireme.machinery.apply.atom import Atom
from trireme.machinery.codec import json
from trireme.machinery.resource import Resource
from trireme.machinery.schema import decode, tree
from trireme.machinery.status import StatusCause

_HANDLED = ("CREATE", "UPDATE", "CONNECT")
# A policy, a binding, and the namespace and name of a parameter.
_Key = tuple[str, str, str, str]


class Policy:
    """A policy's expressions, compiled once. ``uses``: what they look at."""

    def __init__(self, policy: MutatingAdmissionPolicy) -> None:
        spec = policy.spec
        params = spec.paramKind is not None
        compiler = Compiler(params, variables=True)
        self.fails = spec.failurePolicy != "Ignore"
        self.is_reinvoked = spec.reinvocationPolicy == "IfNeeded"
        self.conditions = Conditions(spec.matchConditions, fails=self.fails, params=params)
        self.variables = evaluate.compile_variables(compiler, spec.variables)
        self.mutations = [_compile(compiler, item) for item in spec.mutations]
        self.uses = evaluate.Uses(
            (*self.conditions.programs, *self.variables.values(), *self.mutations)
        )


def _compile(compiler: Compiler, item: Mutation) -> Compiled:
    form = item.jsonPatch if item.patchType == "JSONPatch" else item.applyConfiguration
    expected = (
        expressions.PATCHES if item.patchType == "JSONPatch" else expressions.APPLY_CONFIGURATION
    )
    return evaluate.compile(
        compiler, "" if form is None else form.expression, (expected,), patches=True
    )


@dataclass(slots=True)
class _Rounds:
    """What the first round leaves for the second: the object as it then was, the policies that
    were asked and may be asked again, and those that are to be."""

    output: bytes = b""
    invoked: set[_Key] = field(default_factory=set)
    again: set[_Key] = field(default_factory=set)

    def require(self) -> None:
        self.again |= self.invoked
        self.invoked = set()


class _Problem(NamedTuple):
    hook: Hook[Policy]
    binding: str
    message: str
    reason: str


class MutatingAdmissionPolicies(PluginBase):
    name = "MutatingAdmissionPolicy"
    configured_by = (MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding)

    def __init__(self) -> None:
        self._hooks: Hooks[Policy] = Hooks(
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, Policy
        )

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return operation in _HANDLED and hooks.handles(resource.group_resource)

    def admit(self, attributes: Attributes, context: Context) -> Awaitable[None] | None:
        matching = self._hooks.matching(attributes, context)
        return self._admit(attributes, context, matching) if matching else None

    async def _admit(
        self,
        attributes: Attributes,
        context: Context,
        matching: list[tuple[Hook[Policy], Version | errors.ApiError]],
    ) -> None:
        problems: list[_Problem] = []
        asked: list[Invocation] = []
        for hook, version in matching:
            if isinstance(version, errors.ApiError):
                problems.append(_misconfigured(hooks.Error(hook, None, version.message)))
                continue
            found, wrong = await self._hooks.invocations(hook, version, attributes, context)
            asked += found
            problems += map(_misconfigured, wrong)
        if asked:
            problems += await self._mutate(attributes, context, asked)
        problems = [problem for problem in problems if problem.hook.compiled.fails]
        if problems:
            raise _refusal(attributes, problems)

    async def _mutate(
        self, attributes: Attributes, context: Context, asked: list[Invocation]
    ) -> list[_Problem]:
        rounds: _Rounds = attributes.state.setdefault(self.name, _Rounds())
        second = attributes.is_reinvocation
        if second and json.encode(attributes.new) != rounds.output:
            rounds.require()
        values = Values(attributes, context)
        problems: list[_Problem] = []
        mutated = False
        for invocation in asked:
            key = _key(invocation)
            policy: Policy = invocation.hook.compiled
            activation = await values.of(invocation, policy.uses)
            if policy.conditions:
                try:
                    if not policy.conditions.hold(values.matching(activation, invocation)):
                        continue
                except EvaluationFailed as error:
                    problems.append(_failed(invocation, str(error)))
                    continue
            if second and key not in rounds.again:
                continue
            before = json.encode(attributes.new)
            for mutation in policy.mutations:
                try:
                    await _apply(mutation, invocation, values, attributes)
                except Failed as failed:
                    if failed.internal:
                        raise errors.internal_error(failed) from None
                    problems.append(_failed(invocation, str(failed)))
                else:
                    mutated = True
            if json.encode(attributes.new) != before:
                rounds.require()
            if policy.is_reinvoked:
                rounds.invoked.add(key)
        if mutated:
            rounds.require()
            attributes.reinvoke = True
        rounds.output = json.encode(attributes.new)
        return problems


async def _apply(
    mutation: Compiled, invocation: Invocation, values: Values, attributes: Attributes
) -> None:
    """Make one mutation. Failed."""
    policy: Policy = invocation.hook.compiled
    version = invocation.version
    if isinstance(mutation, str):
        raise Failed(mutation)
    activation = await values.of(invocation, policy.uses)
    try:
        value, _ = evaluate.evaluate(
            mutation, evaluate.scope(activation, policy.variables), cel.RUNTIME_COST_BUDGET
        )
    except OutOfBudget as error:
        raise Failed(str(error)) from None
    if isinstance(value, Failure):
        raise Failed(value.message)
    live = await values.converted(attributes.new, version, "object")
    if isinstance(value, list):
        data = _encode(patches.patch(live, value))
        _check(data, _type(live, attributes, version))
    else:
        data = _encode(patches.apply_configuration(_atom(version), live, value))
    await attributes.objects.take(attributes.new, data, version)
    values.changed()


def _encode(value: Any) -> bytes:
    return gotext.in_go(msgspec.json.encode(value))


def _check(data: bytes, kind: type) -> None:
    """What a JSON patch made has to be an object of the kind, without unknown fields."""
    if not issubclass(kind, msgspec.Struct):
        return
    try:
        decode.decode(data, kind, decode.STRICT, unique=True)
    except decode.DecodeError as error:
        raise Failed(error.message, internal=True) from None


def _type(live: Any, attributes: Attributes, version: Version) -> type:
    """The type of an object as a version has it; subresources have types of their own."""
    resource = version.endpoint.resource
    if live["kind"] == resource.kind:
        return resource.type
    part = resource.subresource(attributes.subresource)
    return type(attributes.new) if part is None or part.type is None else part.type


def _atom(version: Version) -> Atom:
    """How the objects of a version merge. Failed for those that nothing stores."""
    group, name, kind = version.kind
    if kind != version.endpoint.resource.kind:
        raise Failed(
            "error applying patch: failed to convert patch object to typed object: no "
            f"corresponding type for {group}/{name}, Kind={kind}"
        )
    own: Atom | None = getattr(version.endpoint, "atom", None)
    return own or _of_type(version.endpoint.resource.type)


@cache
def _of_type(kind: type) -> Atom:
    return atom.of_node(tree.of(kind))


def _key(invocation: Invocation) -> _Key:
    meta = {} if invocation.param is None else invocation.param["metadata"]
    where = meta.get("namespace", ""), meta.get("name", "")
    return invocation.hook.name, invocation.bound.name, *where


def _failed(invocation: Invocation, message: str) -> _Problem:
    return _Problem(invocation.hook, invocation.bound.name, message, errors.INVALID)


def _misconfigured(problem: hooks.Error) -> _Problem:
    what = "policy" if problem.bound is None else "binding"
    name = "" if problem.bound is None else problem.bound.name
    message = f"failed to configure {what}: {problem.message}"
    return _Problem(problem.hook, name, message, "")


def _refusal(attributes: Attributes, problems: list[_Problem]) -> errors.ApiError:
    texts = [
        f"policy '{one.hook.name}' with binding '{one.binding}' denied request: {one.message}"
        if one.binding
        else f"policy {gotext.quote(one.hook.name)} denied request: {one.message}"
        for one in problems
    ]
    error = forbidden(attributes, "")
    error.message = texts[0]
    error.reason = problems[0].reason or error.reason
    assert error.details is not None
    error.details.causes = [StatusCause(message=text) for text in texts]
    return error

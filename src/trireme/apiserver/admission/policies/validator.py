"""What a ValidatingAdmissionPolicy says of one write. Pure.

In: the policy, compiled, and the values of its expressions' variables, for one binding and one
parameter. Out: a ``Denial`` or None for each validation, and audit annotations. Called by
``validating``. Upstream: apiserver ``policy/validating/validator.go``; KEP-3488.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from trireme.api.admissionregistration.v1.expressions import Compiler
from trireme.api.admissionregistration.v1.validatingadmissionpolicy_types import (
    ValidatingAdmissionPolicy,
    Validation,
)
from trireme.apiserver.admission.matching.conditions import Conditions, EvaluationFailed
from trireme.apiserver.admission.policies import evaluate
from trireme.apiserver.admission.policies.evaluate import Compiled, Failure, OutOfBudget
from trireme.expr import cel
from trireme.expr.cel import types as t
from trireme.machinery import errors

_LONGEST_ANNOTATION: Final = 10 * 1024


@dataclass(frozen=True, slots=True)
class Denial:
    """A validation that does not hold, or an error that counts as such (without a reason)."""

    message: str
    reason: str = ""


@dataclass(slots=True)
class Outcome:
    """``denials``: one for each validation, None where it holds. ``annotations`` by key."""

    denials: list[Denial | None] = field(default_factory=list)
    annotations: list[tuple[str, str]] = field(default_factory=list)
    # Errors of annotations: they deny, whatever the binding's actions are.
    annotation_errors: list[Denial] = field(default_factory=list)


class Policy:
    """A policy's expressions, compiled once. ``uses``: what they look at."""

    def __init__(self, policy: ValidatingAdmissionPolicy) -> None:
        spec = policy.spec
        params = spec.paramKind is not None
        compiler = Compiler(params, variables=True)
        self.fails = spec.failurePolicy != "Ignore"
        self.conditions = Conditions(spec.matchConditions, fails=self.fails, params=params)
        self.variables = evaluate.compile_variables(compiler, spec.variables)
        self._validations: list[tuple[Validation, Compiled, Compiled | None]] = [
            (
                item,
                evaluate.compile(compiler, item.expression, (t.BOOL,)),
                evaluate.compile(compiler, item.messageExpression, (t.STRING,), authorizer=False)
                if item.messageExpression
                else None,
            )
            for item in spec.validations
        ]
        self._annotations = [
            (item.key, evaluate.compile(compiler, item.valueExpression, (t.STRING, t.NULL)))
            for item in spec.auditAnnotations
        ]
        self._has_messages = any(message is not None for _, _, message in self._validations)
        self.uses = evaluate.Uses(
            (
                *self.conditions.programs,
                *self.variables.values(),
                *(each for _, *both in self._validations for each in both),
                *(compiled for _, compiled in self._annotations),
            )
        )

    def decide(self, values: Mapping[str, Any], matching: Mapping[str, Any]) -> Outcome:
        """``matching`` are the values that match conditions see."""
        if self.conditions:
            try:
                if not self.conditions.hold(matching):
                    return Outcome()
            except EvaluationFailed as error:
                return self._error(str(error))
        try:
            found, left = self._validate(values)
        except OutOfBudget as error:
            return self._error(str(error))
        outcome = Outcome(self._denials(values, found, left))
        if self._annotations:
            try:
                self._annotate(values, outcome)
            except OutOfBudget as error:
                return self._error(str(error))
        return outcome

    def _validate(self, values: Mapping[str, Any]) -> tuple[list[Any], int]:
        activation = evaluate.scope(values, self.variables)
        left = cel.RUNTIME_COST_BUDGET
        found = []
        for _, compiled, _ in self._validations:
            value, left = evaluate.evaluate(compiled, activation, left)
            found.append(value)
        return found, left

    def _denials(
        self, values: Mapping[str, Any], found: list[Any], left: int
    ) -> list[Denial | None]:
        problem = ""
        messages: list[Any] = [None] * len(found)
        if self._has_messages:
            activation = evaluate.scope(values, self.variables, authorizer=False)
            try:
                for position, (_, _, compiled) in enumerate(self._validations):
                    if compiled is not None:
                        messages[position], left = evaluate.evaluate(compiled, activation, left)
            except OutOfBudget as error:
                problem = f"failed messageExpression: {error}"
        return [
            self._denial(validation, value, message, problem)
            for (validation, _, _), value, message in zip(
                self._validations, found, messages, strict=True
            )
        ]

    def _denial(
        self, validation: Validation, value: Any, message: Any, problem: str
    ) -> Denial | None:
        if isinstance(value, Failure):
            problem = value.message
        if problem:
            return Denial(problem) if self.fails else None
        if value is True:
            return None
        return Denial(_text(validation, message), validation.reason or errors.INVALID)

    def _annotate(self, values: Mapping[str, Any], outcome: Outcome) -> None:
        activation = evaluate.scope(values, self.variables, authorizer=False)
        left = cel.RUNTIME_COST_BUDGET
        for key, compiled in self._annotations:
            value, left = evaluate.evaluate(compiled, activation, left)
            if isinstance(value, Failure):
                if self.fails:
                    outcome.annotation_errors.append(Denial(value.message))
            elif isinstance(value, str) and value.strip():
                data = value.strip().encode()[:_LONGEST_ANNOTATION]
                outcome.annotations.append((key, data.decode(errors="ignore")))

    def _error(self, message: str) -> Outcome:
        return Outcome([Denial(message)] if self.fails else [])


def _text(validation: Validation, message: Any) -> str:
    """The message of a refusal: the value of the expression if it is one short line, the fixed
    message, or the expression itself."""
    if isinstance(message, str):
        text = message.strip()
        if text and "\n" not in text and len(text.encode()) <= cel.MAX_MESSAGE_BYTES:
            return text
    fixed = validation.message.strip()
    return fixed or f"failed expression: {validation.expression.strip()}"

"""Expressions of one policy evaluated for one write, within a budget. Pure.

In: compiled expressions, the values of their variables. Out: values or errors in upstream's words,
and what is left of the budget. Called by ``validator`` and ``mutating``. Upstream: apiserver
``pkg/admission/plugin/cel`` (activation, composition).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from trireme.api.admissionregistration.v1 import expressions
from trireme.api.admissionregistration.v1.expressions import Compiler
from trireme.api.admissionregistration.v1.matching import Variable
from trireme.apiserver.admission.matching.conditions import OUT_OF_BUDGET
from trireme.apiserver.admission.policies import project
from trireme.expr import cel
from trireme.expr.cel.types import Type
from trireme.machinery import gotext

# A program, or why there is none.
Compiled = cel.Program | str
_AUTHORIZERS: Final = ("authorizer", "authorizer.requestResource")


class Given(dict[str, Any]):
    """An object of which a null member is there, for ``has``."""

    __slots__ = ()


class OutOfBudget(Exception):
    """No further expression is evaluated; str() is upstream's text."""

    def __init__(self) -> None:
        super().__init__(OUT_OF_BUDGET)


class Failure(NamedTuple):
    """Instead of a value: the error of an expression."""

    message: str


def compile(
    compiler: Compiler,
    text: str,
    expected: Sequence[Type],
    *,
    authorizer: bool = True,
    patches: bool = False,
) -> Compiled:
    """The program of an expression, or the error that each evaluation of it has."""
    try:
        return compiler.compile(text, expected, authorizer=authorizer, patches=patches)
    except expressions.Refused as error:
        return str(error)


def compile_variables(compiler: Compiler, variables: Iterable[Variable]) -> dict[str, Compiled]:
    """The programs of a policy's variables, in order: each may use those before it."""
    compiled: dict[str, Compiled] = {}
    for variable in variables:
        try:
            compiled[variable.name] = compiler.variable(variable.name, variable.expression)
        except expressions.Refused as error:
            compiled[variable.name] = str(error)
    return compiled


class Uses:
    """What the expressions of one policy look at: variables by their ``names``, and which parts of
    the objects."""

    def __init__(self, compiled: Iterable[Compiled | None]) -> None:
        programs = [each for each in compiled if isinstance(each, cel.Program)]
        self.names = frozenset(name for program in programs for name in program.references)
        self.object = project.parts(programs, "object")
        self.old_object = project.parts(programs, "oldObject")


def scope(
    values: Mapping[str, Any], variables: Mapping[str, Compiled], *, authorizer: bool = True
) -> Mapping[str, Any]:
    """What a group of expressions sees: ``values`` and the policy's variables, not evaluated yet.
    Without ``authorizer`` an expression that uses it fails."""
    if authorizer and not variables:
        return values
    activation = dict(values)
    if not authorizer:
        for name in _AUTHORIZERS:
            activation.pop(name, None)
    activation["variables"] = Variables(variables, activation)
    return activation


def evaluate(compiled: Compiled, activation: Mapping[str, Any], budget: int) -> tuple[Any, int]:
    """The value, or a ``Failure``, and what is left of the budget. Raises OutOfBudget."""
    if isinstance(compiled, str):
        return Failure(f"compilation error: {compiled}"), budget
    try:
        value, cost = compiled.evaluate(activation)
    except cel.EvalError as error:
        value, cost = (
            Failure(f"expression '{compiled.text}' resulted in error: {error}"),
            error.cost,
        )
    budget -= cost
    variables = activation.get("variables")
    if variables is not None:
        budget -= variables.take_cost()
    if budget < 0:
        raise OutOfBudget
    return value, budget


class Variables(dict[str, Any]):
    """The value of ``variables``: each is evaluated when it is first used."""

    __slots__ = ("_activation", "_compiled", "_cost", "_errors")

    def __init__(self, compiled: Mapping[str, Compiled], activation: Mapping[str, Any]) -> None:
        super().__init__()
        self._compiled = compiled
        self._activation = activation
        self._cost = 0
        self._errors: dict[str, str] = {}

    def take_cost(self) -> int:
        """What evaluations have cost since the last call."""
        cost, self._cost = self._cost, 0
        return cost

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a variable; EvalError where it has none."""
        if name in self:
            return self[name]
        compiled = self._compiled.get(name)
        if compiled is None:
            return default
        if name not in self._errors:
            quoted = gotext.quote(name)
            if isinstance(compiled, str):
                self._errors[name] = f"composited variable {quoted} fails to compile: {compiled}"
            else:
                try:
                    value, cost = compiled.evaluate(self._activation)
                except cel.EvalError as error:
                    self._cost += error.cost
                    text = f"composited variable {quoted} fails to evaluate: {error}"
                    self._errors[name] = text
                else:
                    self._cost += cost
                    self[name] = value
                    return value
        raise cel.EvalError(self._errors[name])

"""Match conditions: expressions that a request has to meet. Pure.

In: conditions, as configured; the variables. Out: whether all hold. A condition that is false wins
over all errors. Upstream: apiserver ``webhook/matchconditions``, ``plugin/cel``; KEP-3716.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trireme.api.admissionregistration.v1 import expressions
from trireme.api.admissionregistration.v1.matching import MatchCondition
from trireme.expr import cel
from trireme.expr.cel import types

OUT_OF_BUDGET = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)


class EvaluationFailed(Exception):
    """Conditions could not be evaluated; str() is upstream's text."""


class Conditions:
    """The match conditions of one webhook or policy. ``fails``: its failure policy is Fail."""

    def __init__(
        self, conditions: Sequence[MatchCondition], *, fails: bool, params: bool = False
    ) -> None:
        self._fails = fails
        compiler = expressions.Compiler(params, variables=False)
        self._compiled = [_compiled(compiler, item.expression) for item in conditions]

    def __bool__(self) -> bool:
        return bool(self._compiled)

    @property
    def programs(self) -> list[cel.Program]:
        """What is evaluated."""
        return [each for each in self._compiled if not isinstance(each, str)]

    def hold(self, variables: Mapping[str, Any]) -> bool:
        """Whether all are true. EvaluationFailed where that cannot be said and the policy is Fail;
        with Ignore they then do not hold."""
        try:
            problems = self._evaluate(variables)
        except EvaluationFailed:
            if self._fails:
                raise
            return False
        if problems is None or (problems and not self._fails):
            return False
        if problems:
            texts = list(dict.fromkeys(problems))
            raise EvaluationFailed(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
        return True

    def _evaluate(self, variables: Mapping[str, Any]) -> list[str] | None:
        """What went wrong; None where a condition is false."""
        problems: list[str] = []
        left = cel.MATCH_CONDITIONS_BUDGET
        for compiled in self._compiled:
            if isinstance(compiled, str):
                problems.append(compiled)
                continue
            try:
                value, cost = compiled.evaluate(variables)
            except cel.EvalError as error:
                value, cost = None, error.cost
                problems.append(f"expression '{compiled.text}' resulted in error: {error}")
            left -= cost
            if left < 0:
                raise EvaluationFailed(OUT_OF_BUDGET)
            if value is False:
                return None
        return problems


def _compiled(compiler: expressions.Compiler, text: str) -> cel.Program | str:
    try:
        return compiler.compile(text, (types.BOOL,))
    except expressions.Refused as error:
        return f"compilation error: {error}"

"""Match conditions: expressions that a request has to meet, and what expressions may see of it.

In: conditions, as configured; the variables. Out: whether all hold. A condition that is false wins
over all errors. Upstream: apiserver ``webhook/matchconditions``, ``plugin/cel``; KEP-3716.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trireme.api.admissionregistration.v1 import expressions
from trireme.api.admissionregistration.v1.matching import MatchCondition
from trireme.apiserver.admission import objects
from trireme.apiserver.admission.contract import Attributes, Context
from trireme.apiserver.admission.matching import request
from trireme.apiserver.admission.matching.matcher import namespace_of
from trireme.apiserver.admission.objects import Version
from trireme.apiserver.authn.service_accounts import ALL_GROUP, USER_PREFIX
from trireme.apiserver.authz import contract as authorization
from trireme.apiserver.request import User
from trireme.expr import cel
from trireme.expr.cel import types
from trireme.expr.cel.library import authz
from trireme.machinery.codec import json

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


async def variables(attributes: Attributes, context: Context, found: Version) -> dict[str, Any]:
    """``object``, ``oldObject``, ``request`` and ``authorizer`` of a write, as a version has them.

    Callers add ``namespaceObject``, ``params`` and ``variables``.
    """

    async def plain(obj: Any) -> Any:
        if obj is None:
            return None
        return json.plain(await objects.of(attributes).shown(obj, found))

    return {
        "object": await plain(attributes.new),
        "oldObject": await plain(attributes.old),
        "request": request.fields(attributes, found),
        **authorizers(attributes, context),
    }


def authorizers(attributes: Attributes, context: Context) -> dict[str, Any]:
    """``authorizer`` and ``authorizer.requestResource``, which ask on behalf of the user."""

    # Whoever evaluates waits for what webhooks answer (``authz.contract.answered``).
    session = context.authorizer.session()

    def decide(attributes: authz.Attributes) -> authz.Decision:
        user = attributes.user
        if not isinstance(user, User):
            user = _service_account(*user)
        decision = session.authorize(
            authorization.Attributes(
                user=user,
                verb=attributes.verb,
                group=attributes.group,
                version="*" if not attributes.path else "",
                resource=attributes.resource,
                subresource=attributes.subresource,
                namespace=attributes.namespace,
                name=attributes.name,
                path=attributes.path,
                field_selector=attributes.field_selector,
                label_selector=attributes.label_selector,
            )
        )
        return authz.Decision(decision.allowed, decision.reason)

    authorizer = authz.Authorizer(decide, attributes.user)
    resource = attributes.endpoint.resource
    check = authz.Attributes(
        attributes.user,
        group=resource.group,
        resource=resource.plural,
        subresource=attributes.subresource,
        namespace=namespace_of(attributes),
        name=attributes.name,
    )
    return {
        "authorizer": authorizer,
        "authorizer.requestResource": authz.resource_check(authorizer, check),
    }


def _service_account(namespace: str, name: str) -> User:
    groups = (ALL_GROUP, f"{ALL_GROUP}:{namespace}", "system:authenticated")
    return User(f"{USER_PREFIX}{namespace}:{name}", groups=groups)

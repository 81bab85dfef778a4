"""The CEL rules of a schema, validated when the definition is written.

In: a schema and where it stands. Out: errors of expressions that do not compile or may cost too
much, alone or all together. Upstream: validation/cel_validation.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import msgspec

from trireme.api.apiextensions.schema import rules
from trireme.api.apiextensions.schema.structural import Schema, Structural
from trireme.api.apiextensions.v1.rules.hoisted import internal_rule
from trireme.api.apiextensions.v1.rules.options import Options
from trireme.api.rules import Errors
from trireme.expr import cel
from trireme.machinery import field
from trireme.machinery.field import Path

_LIMITLESS = 2**64 - 1
_HINT = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, "
    "maps, and strings are declared)"
)


@dataclass
class _Total:
    """What all rules of a schema may cost together, and the most expensive ones."""

    cost: int = 0
    most_expensive: list[tuple[int, Path]] = dataclass_field(default_factory=list)

    def add(self, at: Path, cost: int) -> None:
        self.cost = min(self.cost + cost, _LIMITLESS)
        if cost >= cel.STATIC_CRD_COST_LIMIT // 100:
            self.most_expensive.append((cost, at))
            self.most_expensive = sorted(self.most_expensive, key=lambda item: -item[0])[:4]


class Context:
    """The type of a schema's values, and how many there may be."""

    def __init__(
        self,
        schema: Schema,
        options: Options,
        cheap: bool,
        total: _Total,
        decl: cel.DeclType | None,
        count: int | None,
    ) -> None:
        self._schema, self._options, self._cheap = schema, options, cheap
        self._total, self._decl, self._count = total, decl, count

    @staticmethod
    def root(schema: Schema, options: Options, version: str) -> Context:
        """``version``: whose schema it is; the cost of one that did not change is not checked."""
        decl = cel.schema_type(schema, root=True)
        return Context(schema, options, version in options.unchanged, _Total(), decl, 1)

    def additional(self) -> Context:
        elem = None if self._decl is None else self._decl.elem
        return self._below(self._schema["additionalProperties"], elem)

    def property(self, name: str) -> Context:
        schema = self._schema["properties"][name]
        decl = None if self._decl is None else rules.child(self._decl, name, schema)
        return self._below(schema, decl)

    def items(self) -> Context:
        elem = None if self._decl is None else self._decl.elem
        return self._below(self._schema["items"], elem)

    def _below(self, schema: Schema, decl: cel.DeclType | None) -> Context:
        if decl is None:
            embedded = schema.get("x-kubernetes-embedded-resource", False)
            decl = cel.schema_type(schema, root=embedded)
        most = _most_elements(self._schema)
        count = None if self._count is None or most is None else self._count * most
        return Context(schema, self._options, self._cheap, self._total, decl, count)

    def validate(self, at: Path, uncorrelated: Path | None) -> Errors:
        """Errors of this schema's own rules."""
        where = at.child("x-kubernetes-validations")
        if self._decl is None:
            detail = (
                "internal error: failed to construct type information for x-kubernetes-validations "
                "rules: unable to convert structural schema to CEL declarations"
            )
            return [field.internal(where, detail)]
        errs: Errors = []
        count = self._count if self._count is not None else self._decl.max_cardinality
        for position, rule in enumerate(rules.compile_rules(self._schema, self._decl)):
            here = where.index(position)
            self._cost(errs, rule.cost, count, here.child("rule"), "estimated rule cost")
            bad_value = msgspec.Raw(msgspec.json.encode(internal_rule(rule.source)))
            if rule.error:
                errs.append(field.invalid(here.child("rule"), bad_value, rule.error))
            message_at = here.child("messageExpression")
            if rule.message_error:
                errs.append(field.invalid(message_at, bad_value, rule.message_error))
            elif rule.message is not None:
                self._cost(
                    errs, rule.message_cost, 1, message_at, "estimated messageExpression cost"
                )
            if rule.uses_old and uncorrelated is not None:
                detail = (
                    "oldSelf cannot be used on the uncorrelatable portion of the schema within "
                    f"{uncorrelated}"
                )
                errs.append(field.invalid(here.child("rule"), rule.source["rule"], detail))
            elif not rule.uses_old and rule.source.get("optionalOldSelf") is not None:
                detail = "may not be set if oldSelf is not used in rule"
                optional = here.child("optionalOldSelf")
                errs.append(field.invalid(optional, rule.source["optionalOldSelf"], detail))
        return errs

    def _cost(self, errs: Errors, cost: int, count: int, at: Path, what: str) -> None:
        whole = min(cost * count, _LIMITLESS)
        if not self._cheap and whole > cel.STATIC_COST_LIMIT:
            errs.append(field.forbidden(at, _over_limit(what, whole, cel.STATIC_COST_LIMIT)))
        self._total.add(at, whole)

    def total_errors(self, at: Path) -> Errors:
        """Errors of all rules together, once they have been validated."""
        limit = cel.STATIC_CRD_COST_LIMIT
        if self._total.cost <= limit:
            return []
        detail = "contributed to estimated rule cost total exceeding cost limit for entire "
        errs = [
            field.forbidden(where, f"{detail}OpenAPIv3 schema")
            for _, where in self._total.most_expensive
        ]
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        errs.append(field.forbidden(at, _over_limit(what, self._total.cost, limit)))
        return errs


def validate_default(node: Structural, is_root: bool, value: Any, at: Path) -> Errors:
    """Errors of a default by the rules of its schema."""
    ruled = rules.of(node, is_root or node.embedded)
    return [] if ruled is None else ruled.validate_default(value, at)


def _most_elements(schema: Schema) -> int | None:
    """How many values may stand one step below one value; None: unbounded."""
    kind = schema.get("type")
    if kind == "array":
        limit = schema.get("maxItems")
    elif kind == "object" and "additionalProperties" in schema:
        limit = schema.get("maxProperties")
    else:
        return 1
    return None if limit is None else max(limit, 0)


def _over_limit(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    if factor > 100:
        factor_text = "more than 100x"
    else:
        factor_text = f"{factor:.6f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {factor_text} {_HINT}"

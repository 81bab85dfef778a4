"""CEL rules of a schema (x-kubernetes-validations): compiled once, evaluated on every write.

In: a structural schema; then values, with the old ones on update. Out: field errors. One budget
is spent by all rules of an object. Rules: custom-resource-definitions/#validation-rules; upstream
schema/cel/{compilation,validation}.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from trireme.api.apiextensions.schema import fieldpath
from trireme.api.apiextensions.schema.openapi import Correlated, map_key
from trireme.api.apiextensions.schema.result import NO_FIELD
from trireme.api.apiextensions.schema.structural import RULES, Schema, Structural
from trireme.expr import cel
from trireme.expr.cel import types as celtypes
from trireme.machinery import field, gotext
from trireme.machinery.field import FieldError, Path

_BLOCKING: Final = (
    field.NOT_SUPPORTED,
    field.REQUIRED,
    field.TOO_LONG,
    field.TOO_MANY,
    field.TYPE_INVALID,
)
_OUT_OF_BUDGET: Final = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)


@dataclass
class Rule:
    """One compiled rule; ``error`` and ``message_error`` are the errors of its compilation."""

    source: dict[str, Any]
    program: cel.Program | None = None
    error: str = ""
    uses_old: bool = False
    cost: int = 0
    message: cel.Program | None = None
    message_error: str = ""
    message_cost: int = 0
    field_path: str = ""

    @property
    def optional_old(self) -> bool:
        return bool(self.source.get("optionalOldSelf"))

    @property
    def source_text(self) -> str:
        """The rule as errors name it."""
        text: str = self.source.get("message") or self.source["rule"]
        return text.strip()


def compile_rules(schema: Schema, decl: cel.DeclType) -> list[Rule]:
    """The rules of this schema itself."""
    given = schema.get(RULES, ())
    environments: dict[bool, cel.Environment] = {}
    found: list[Rule] = []
    for source in given:
        rule = Rule(source)
        found.append(rule)
        if not source["rule"].strip():
            continue
        optional = rule.optional_old
        if optional not in environments:
            old: Any = celtypes.optional_of(decl.type) if optional else decl
            environments[optional] = cel.Environment({"self": decl, "oldSelf": old})
        _compile(rule, environments[optional])
    return found


def _compile(rule: Rule, environment: cel.Environment) -> None:
    try:
        program = environment.compile(rule.source["rule"])
    except cel.CelError as error:
        what = "compilation" if error.kind == "compile" else "program instantiation"
        rule.error = f"{what} failed: {error}"
        return
    if program.type.kind != "bool":
        rule.error = "cel expression must evaluate to a bool"
        return
    rule.program, rule.uses_old = program, "oldSelf" in program.references
    rule.cost = program.estimate().max
    text = rule.source.get("messageExpression", "")
    if text:
        try:
            message = environment.compile(text)
        except cel.CelError as error:
            what = "compilation" if error.kind == "compile" else "instantiation"
            rule.message_error = f"messageExpression {what} failed: {error}"
            return
        if message.type.kind != "string":
            rule.message_error = "messageExpression must evaluate to a string"
            return
        rule.message, rule.message_cost = message, message.estimate().max


class Ruled:
    """A node that has rules, or something below it has."""

    def __init__(self, node: Structural, decl: cel.DeclType) -> None:
        self._type = node.type
        self._rules = compile_rules(node.schema, decl)
        for rule in self._rules:
            path = rule.source.get("fieldPath", "")
            if path and rule.program is not None:
                rule.field_path = _place(path, node)
        self._list_keys = node.list_keys
        self._is_map_list = node.list_type == "map"
        self.items: Ruled | None = None
        self.additional: Ruled | None = None
        self.properties: dict[str, Ruled] = {}

    def validate(
        self,
        value: Any,
        old: Any,
        at: Path | None,
        pair: Correlated | None,
        warned: list[str] | None = None,
    ) -> list[FieldError]:
        """Errors of all rules; ``pair`` on update: what did not change may still fail, and
        ``warned`` gets what would have been an error."""
        run = _Run(warned)
        run.node(self, value, old, at, pair, None)
        return run.errors

    def validate_default(self, value: Any, at: Path) -> list[FieldError]:
        """Errors of a default, as the update to itself and as a value that is new."""
        return self.validate(value, value, at, None) or self.validate(value, None, at, None)


def of(node: Structural, is_root: bool) -> Ruled | None:
    """The rules of a schema and all below it; None where there are none."""
    if not node.has_rules:
        return None
    decl = cel.schema_type(node.schema, root=is_root)
    return None if decl is None else _ruled(node, decl)


def _ruled(node: Structural, decl: cel.DeclType) -> Ruled:
    ruled = Ruled(node, decl)
    if decl.elem is not None:
        if node.items is not None and node.items.has_rules:
            ruled.items = _ruled(node.items, decl.elem)
        if node.additional is not None and node.additional.has_rules:
            ruled.additional = _ruled(node.additional, decl.elem)
    for name, item in node.properties.items():
        below = child(decl, name, item.schema) if item.has_rules else None
        if below is not None:
            ruled.properties[name] = _ruled(item, below)
    return ruled


def _place(path: str, node: Structural) -> str:
    """Where errors of a rule stand, below its node."""
    try:
        return str(fieldpath.find(path, node).path or "")
    except ValueError:
        return ""


def child(decl: cel.DeclType, name: str, schema: Schema) -> cel.DeclType | None:
    """The type of a property; one whose name no expression can write gets a type of its own."""
    escaped = cel.escape(name)
    if escaped is not None:
        return (decl.fields or {}).get(escaped)
    return cel.schema_type(schema, root=schema.get("x-kubernetes-embedded-resource", False))


def is_blocked(errs: list[FieldError]) -> bool:
    """Whether these errors keep the rules from being evaluated."""
    return any(error.type in _BLOCKING for error in errs)


def blocked() -> FieldError:
    """The error in place of the rules' errors."""
    detail = (
        "some validation rules were not checked because the object was invalid; correct the "
        "existing errors to complete validation"
    )
    return field.invalid(Path(NO_FIELD), None, detail)


class _OutOfBudget(Exception):
    """No more rules are evaluated."""


class _Run:
    """One pass over an object; the errors stay when it ends early."""

    def __init__(self, warned: list[str] | None) -> None:
        self.errors: list[FieldError] = []
        self._warned = warned
        self._budget = cel.RUNTIME_COST_BUDGET

    def node(
        self,
        node: Ruled,
        value: Any,
        old: Any,
        at: Path | None,
        pair: Correlated | None,
        parent: Correlated | None,
    ) -> None:
        try:
            self._walk(node, value, old, at, pair, parent)
        except _OutOfBudget:
            return

    def _walk(
        self,
        node: Ruled,
        value: Any,
        old: Any,
        at: Path | None,
        pair: Correlated | None,
        parent: Correlated | None,
    ) -> None:
        if value is None:
            return
        near = pair if pair is not None else parent
        for rule in node._rules:
            if self._budget <= 0:
                self._stop(node, at, _OUT_OF_BUDGET)
            self._rule(node, rule, value, old, at, near)
        if isinstance(value, list) and node.items is not None:
            olds = _old_items(node, old)
            for position, item in enumerate(value):
                was = olds.get(map_key(item, node._list_keys)) if olds else None
                below = Correlated(item, was) if pair is not None and was is not None else None
                here = (at or field.path()).index(position)
                self._walk(node.items, item, was, here, below, near)
        elif isinstance(value, dict):
            self._walk_object(node, value, old, at, pair, parent)

    def _walk_object(
        self,
        node: Ruled,
        value: dict[str, Any],
        old: Any,
        at: Path | None,
        pair: Correlated | None,
        parent: Correlated | None,
    ) -> None:
        olds = old if isinstance(old, dict) else {}
        near = pair if pair is not None else parent
        for key, item in value.items():
            below = node.properties.get(key)
            if below is not None:
                here = field.path(key) if at is None else at.child(key)
            elif node.additional is not None:
                below = node.additional
                here = Path(f"[{key}]") if at is None else at.key(key)
            else:
                continue
            both = None
            if pair is not None and isinstance(pair.old, dict) and key in pair.old:
                both = Correlated(item, pair.old[key])
            self._walk(below, item, olds.get(key), here, both, near)

    def _rule(
        self, node: Ruled, rule: Rule, value: Any, old: Any, at: Path | None, near: Any
    ) -> None:
        where = Path(NO_FIELD) if at is None else at
        if rule.error:
            detail = f"rule compile error: {rule.error}"
            self.errors.append(field.invalid(where, node._type, detail))
            return
        if rule.program is None or (rule.uses_old and old is None and not rule.optional_old):
            return
        bindings = {"self": value}
        if rule.optional_old:
            bindings["oldSelf"] = cel.NONE if old is None else cel.Optional(old)
        elif old is not None:
            bindings["oldSelf"] = old
        try:
            holds, cost = rule.program.evaluate(bindings)
        except cel.EvalError as error:
            self._spend(node, at, error.cost)
            self._failed(node, rule, where, error)
            return
        self._spend(node, at, cost)
        if holds is not True:
            self._broken(node, rule, bindings, value, at, near)

    def _spend(self, node: Ruled, at: Path | None, cost: int) -> None:
        if cost > self._budget:
            self._stop(node, at, _OUT_OF_BUDGET)
        self._budget -= cost

    def _stop(self, node: Ruled, at: Path | None, detail: str) -> None:
        self.errors.append(field.invalid(at or Path(NO_FIELD), node._type, detail))
        raise _OutOfBudget

    def _failed(self, node: Ruled, rule: Rule, at: Path, error: cel.EvalError) -> None:
        """Reports a rule whose evaluation failed."""
        text = str(error)
        if text.startswith("no such overload"):
            detail = (
                f"'{text}': call arguments did not match a supported operator, function or macro "
                f"signature for rule: {rule.source_text}"
            )
        elif isinstance(error, cel.CostLimitExceeded):
            detail = (
                f"'{text}': no further validation rules will be run due to call cost exceeds limit "
                f"for rule: {rule.source_text}"
            )
            self._stop(node, at, detail)
        else:
            detail = f"{text} evaluating rule: {rule.source_text}"
        self.errors.append(field.invalid(at, node._type, detail))

    def _broken(
        self,
        node: Ruled,
        rule: Rule,
        bindings: dict[str, Any],
        value: Any,
        at: Path | None,
        near: Correlated | None,
    ) -> None:
        detail = self._message(node, rule, bindings, at)
        where = at
        if rule.field_path:
            where = Path(rule.field_path) if at is None else at.child(rule.field_path)
        where = Path(NO_FIELD) if where is None else where
        bad_value = field.OMITTED if node._type in ("object", "array") else value
        match rule.source.get("reason"):
            case "FieldValueForbidden":
                error = field.forbidden(where, detail)
            case "FieldValueRequired":
                error = field.required(where, detail)
            case "FieldValueDuplicate":
                error = field.duplicate(where, bad_value)
            case _:
                error = field.invalid(where, bad_value, detail)
        if rule.uses_old or near is None or not near.equal():
            self.errors.append(error)
        elif self._warned is not None:
            self._warned.append(str(error))

    def _message(self, node: Ruled, rule: Rule, bindings: dict[str, Any], at: Path | None) -> str:
        """The result of the message expression if it is valid, else the rule's own message."""
        if rule.message is not None:
            source = gotext.quote(rule.source["messageExpression"])
            try:
                text, cost = rule.message.evaluate(bindings)
            except cel.CostLimitExceeded:
                self._stop(
                    node,
                    at,
                    "no further validation rules will be run due to call cost exceeds limit for "
                    f"messageExpression: {source}",
                )
            except cel.EvalError as error:
                self._budget -= error.cost
            else:
                if cost > self._budget:
                    self._stop(node, at, f"messageExpression evaluation {_OUT_OF_BUDGET[11:]}")
                self._budget -= cost
                text = text.strip() if isinstance(text, str) else ""
                size = len(text.encode())
                if text and "\n" not in text and size <= cel.MAX_MESSAGE_BYTES:
                    return text
        message: str = rule.source.get("message", "")
        return message.strip() if message else f"failed rule: {rule.source_text}"


def _old_items(node: Ruled, old: Any) -> dict[Any, Any]:
    """The old items by their keys, where the list is a map."""
    if not node._is_map_list or not isinstance(old, list):
        return {}
    return {map_key(item, node._list_keys): item for item in reversed(old)}

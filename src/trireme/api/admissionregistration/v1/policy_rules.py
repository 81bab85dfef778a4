"""Rules of validating and mutating admission policies, expressions and all.

Called by: the two kinds. Upstream: pkg/apis/admissionregistration/validation,
pkg/registry/admissionregistration; KEP-3488, KEP-3962.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from trireme.api import rules
from trireme.api.admissionregistration.v1 import (
    condition_rules,
    expressions,
    match_rules,
    matching,
)
from trireme.api.admissionregistration.v1.condition_rules import BLANKS
from trireme.api.admissionregistration.v1.expressions import Compiler
from trireme.api.admissionregistration.v1.mutatingadmissionpolicy_types import (
    MutatingAdmissionPolicy,
    Mutation,
)
from trireme.api.admissionregistration.v1.validatingadmissionpolicy_types import (
    AuditAnnotation,
    ExpressionWarning,
    ValidatingAdmissionPolicy,
    Validation,
)
from trireme.api.rules import Errors
from trireme.expr import jsonpath
from trireme.expr.cel import types as t
from trireme.machinery import field, names
from trireme.machinery.field import Path

Policy: TypeAlias = MutatingAdmissionPolicy | ValidatingAdmissionPolicy

_MOST_ANNOTATIONS: Final = 20
_LONGEST_VALUE: Final = 5 * 1024
_PATCHES: Final = ("ApplyConfiguration", "JSONPatch")
_SPEC: Final = field.path("spec")


def defaults(obj: Policy) -> None:
    """Selectors that are left out select everything."""
    matching.default_resources(obj.spec.matchConstraints)


def warnings(new: Policy, _old: Policy | None) -> list[str]:
    """Names reserved for static configuration files."""
    return match_rules.warn_static(new.metadata.name)


def param_kind(obj: Policy) -> str:
    """The cell that says what the parameters are."""
    kind = obj.spec.paramKind
    return "<unset>" if kind is None else f"{kind.apiVersion}/{kind.kind}"


def validate_validating(
    new: ValidatingAdmissionPolicy, old: ValidatingAdmissionPolicy | None = None
) -> Errors:
    """What is validated, by which expressions."""
    errs: Errors = []
    spec = new.spec
    compiler = Compiler(spec.paramKind is not None, variables=bool(spec.variables))
    _common(errs, new, old)
    for position, variable in enumerate(spec.variables):
        here = _SPEC.child("variables").index(position)
        condition_rules.variable(errs, here, compiler, variable)
    if not spec.validations and not spec.auditAnnotations:
        detail = "validations or auditAnnotations must contain at least one item"
        errs.append(field.required(_SPEC.child("validations"), detail))
        errs.append(field.required(_SPEC.child("auditAnnotations"), detail))
        return errs
    for position, item in enumerate(spec.validations):
        _validation(errs, _SPEC.child("validations").index(position), compiler, item)
    at = _SPEC.child("auditAnnotations")
    if len(spec.auditAnnotations) > _MOST_ANNOTATIONS:
        detail = f"must not have more than {_MOST_ANNOTATIONS} auditAnnotations"
        errs.append(field.invalid(at, spec.auditAnnotations, detail))
    used: set[str] = set()
    for position, annotation in enumerate(spec.auditAnnotations):
        here = at.index(position)
        _annotation(errs, here, compiler, annotation, new.metadata.name)
        if annotation.key in used:
            errs.append(field.duplicate(here.child("key"), annotation.key))
        used.add(annotation.key)
    return errs


def validate_mutating(
    new: MutatingAdmissionPolicy, old: MutatingAdmissionPolicy | None = None
) -> Errors:
    """What is changed, by which expressions."""
    errs: Errors = []
    spec = new.spec
    compiler = Compiler(spec.paramKind is not None, variables=True)
    _common(errs, new, old, mutating=True)
    for position, variable in enumerate(spec.variables):
        here = _SPEC.child("variables").index(position)
        condition_rules.variable(errs, here, compiler, variable)
    at = _SPEC.child("mutations")
    if not spec.mutations:
        errs.append(field.required(at, "mutations must contain at least one item"))
    for position, item in enumerate(spec.mutations):
        _mutation(errs, at.index(position), compiler, item)
    policy = spec.reinvocationPolicy
    rules.required_one_of(errs, _SPEC, "reinvocationPolicy", policy, ("IfNeeded", "Never"))
    return errs


def _common(errs: Errors, new: Policy, old: Policy | None, mutating: bool = False) -> None:
    spec = new.spec
    if spec.failurePolicy is None:
        errs.append(field.required(_SPEC.child("failurePolicy")))
    rules.declared(errs, _SPEC, spec, "failurePolicy")
    if spec.paramKind is not None:
        match_rules.param_kind(errs, _SPEC.child("paramKind"), spec.paramKind)
    at = _SPEC.child("matchConstraints")
    if spec.matchConstraints is None:
        errs.append(field.required(at))
    else:
        match_rules.match_resources(errs, at, spec.matchConstraints)
        if not spec.matchConstraints.resourceRules:
            errs.append(field.required(at.child("resourceRules")))
        if mutating:
            match_rules.mutating_operations(errs, at, spec.matchConstraints)
    if (
        old is None
        or old.spec.paramKind != spec.paramKind
        or old.spec.matchConditions != spec.matchConditions
    ):
        at = _SPEC.child("matchConditions")
        condition_rules.conditions(errs, at, spec.matchConditions, spec.paramKind is not None)


def _validation(errs: Errors, at: Path, compiler: Compiler, item: Validation) -> None:
    if not item.expression.strip(BLANKS):
        errs.append(field.required(at.child("expression"), "expression is not specified"))
    else:
        where = at.child("expression")
        expressions.check(errs, where, compiler, item.expression, (t.BOOL,))
    where = at.child("messageExpression")
    if item.messageExpression.strip(BLANKS):
        text = item.messageExpression
        expressions.check(errs, where, compiler, text, (t.STRING,), authorizer=False)
    elif item.messageExpression:
        detail = "must be non-empty if specified"
        errs.append(field.invalid(where, item.messageExpression, detail))
    message = item.message.strip(BLANKS)
    if item.message and not message:
        detail = "must be non-empty if specified"
        errs.append(field.invalid(at.child("message"), item.message, detail))
    elif "\n" in message or "\r" in message:
        detail = "must not contain line breaks"
        errs.append(field.invalid(at.child("message"), item.message, detail))
    rules.declared(errs, at, item, "reason")


def _annotation(
    errs: Errors, at: Path, compiler: Compiler, item: AuditAnnotation, policy: str
) -> None:
    if policy:
        key = f"{policy}/{item.key}"
        rules.syntax(errs, at, "key", key, names.is_qualified_name)
    else:
        detail = "requires metadata.name be non-empty"
        errs.append(field.invalid(at.child("key"), item.key, detail))
    text, where = item.valueExpression.strip(BLANKS), at.child("valueExpression")
    if not text:
        errs.append(field.required(where, "valueExpression is not specified"))
    elif len(text.encode()) > _LONGEST_VALUE:
        errs.append(field.required(where, f"must not exceed {_LONGEST_VALUE} bytes in length"))
    else:
        expected = t.STRING, t.NULL
        expressions.check(errs, where, compiler, text, expected, bad_value=item.valueExpression)


def _mutation(errs: Errors, at: Path, compiler: Compiler, item: Mutation) -> None:
    kind = item.patchType
    rules.declared(errs, at, item, "patchType")
    if kind not in _PATCHES:
        return
    forms = {
        "JSONPatch": ("jsonPatch", item.jsonPatch, expressions.PATCHES),
        "ApplyConfiguration": (
            "applyConfiguration",
            item.applyConfiguration,
            expressions.APPLY_CONFIGURATION,
        ),
    }
    name, form, expected = forms.pop(kind)
    other, given, _ = next(iter(forms.values()))
    if form is None:
        detail = f"must be specified when patchType is {kind}"
        errs.append(field.required(at.child(name), detail))
    else:
        text, where = form.expression.strip(BLANKS), at.child(name, "expression")
        if not text:
            errs.append(field.required(where))
        else:
            expressions.check(errs, where, compiler, text, (expected,), patches=True)
    if given is not None:
        detail = f"must not be specified when patchType is {kind}"
        errs.append(field.invalid(at.child(other), f"{{{other}}}", detail))


def validate_status(new: ValidatingAdmissionPolicy, _old: ValidatingAdmissionPolicy) -> Errors:
    """The results of the type check, and conditions."""
    errs: Errors = []
    at = field.path("status")
    if new.status.typeChecking is not None:
        found = new.status.typeChecking.expressionWarnings
        where = at.child("typeChecking", "expressionWarnings")
        for position, item in enumerate(found):
            _warning(errs, where.index(position), item)
    rules.conditions(errs, at.child("conditions"), new.status.conditions)
    return errs


def _warning(errs: Errors, at: Path, item: ExpressionWarning) -> None:
    rules.required(errs, at, "warning", item.warning)
    path, where = item.fieldRef.strip(BLANKS), at.child("fieldRef")
    if not path:
        errs.append(field.required(where))
        return
    try:
        jsonpath.parse(f"{{{path}}}")
    except jsonpath.JsonPathError as error:
        errs.append(field.invalid(where, path, f"invalid JSONPath: {error}"))

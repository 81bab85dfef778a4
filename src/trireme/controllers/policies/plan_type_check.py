"""The type errors that a policy's expressions have for the kinds that it matches. Pure.

In: a ValidatingAdmissionPolicy, what is served, schemas. Out: the kinds whose schemas are needed,
and ``ExpressionWarning``s. Called by ``policy_status``. Upstream: apiserver
``pkg/admission/plugin/policy/validating`` (typechecking), ``pkg/cel/openapi/resolver``. Other than
there, ``authorizer.requestResource`` is known; upstream warns of it as unresolved.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from trireme.api.admissionregistration.v1.expressions import Compiler, Refused
from trireme.api.admissionregistration.v1.matching import NamedRuleWithOperations
from trireme.api.admissionregistration.v1.validatingadmissionpolicy_types import (
    ExpressionWarning,
    ValidatingAdmissionPolicy,
)
from trireme.client.served import Served
from trireme.expr import cel
from trireme.expr.cel import types as t
from trireme.expr.cel.types import Type

MOST_KINDS: Final = 10
_REF: Final = "#/components/schemas/"
_IDENTITIES: Final = "x-kubernetes-group-version-kind"


class Kind(NamedTuple):
    """A kind in one version of its group; in messages as Go's GroupVersionKind."""

    group: str
    version: str
    kind: str

    def __str__(self) -> str:
        return f"{self.group}/{self.version}, Kind={self.kind}"

    @property
    def document(self) -> str:
        """The path of the OpenAPI v3 document that has its schema."""
        root = f"apis/{self.group}" if self.group else "api"
        return f"/openapi/v3/{root}/{self.version}"


def compute_kinds(policy: ValidatingAdmissionPolicy, served: Iterable[Served]) -> list[Kind]:
    """The kinds that the policy names, sorted. Wildcards name none; a rule with MOST_KINDS or more
    gives so many and is the last one."""
    constraints = policy.spec.matchConstraints
    found: set[Kind] = set()
    served = list(served)
    for rule in constraints.resourceRules if constraints is not None else ():
        of_rule = list(itertools.islice(_of_rule(rule, served), MOST_KINDS))
        found.update(of_rule)
        if len(of_rule) == MOST_KINDS:
            break
    return sorted(found)


def _of_rule(rule: NamedRuleWithOperations, served: list[Served]) -> Iterator[Kind]:
    if any("*" in name for name in (*rule.apiGroups, *rule.apiVersions)):
        return
    resources = [name for name in rule.resources if "*" not in name and "/" not in name]
    for group in sorted(rule.apiGroups):
        for version in sorted(rule.apiVersions):
            for resource in sorted(resources):
                name = resource.lower()
                for item in served:
                    # No group means any, as for upstream's RESTMapper.
                    in_group = not group or item.group == group.lower()
                    named = name in (item.plural, item.kind.lower())
                    if in_group and named and item.version == version.lower():
                        yield Kind(item.group, item.version, item.kind)


def param_kind(policy: ValidatingAdmissionPolicy) -> Kind | None:
    """The kind of the policy's parameters."""
    named = policy.spec.paramKind
    if named is None:
        return None
    group, _, version = named.apiVersion.rpartition("/")
    return Kind(group, version, named.kind)


def compute_type(kind: Kind, schemas: Mapping[str, Any]) -> Type | None:
    """The type of a kind's objects by the schemas of its document. None: there is no schema; DYN:
    it says nothing of the type."""
    for name, schema in schemas.items():
        for identity in schema.get(_IDENTITIES, ()):
            if Kind(identity["group"], identity["version"], identity["kind"]) == kind:
                found = cel.schema_type(_resolved(schema, schemas, {name}), True, kind.kind)
                return t.DYN if found is None else found.type
    return None


def _resolved(schema: Any, schemas: Mapping[str, Any], above: set[str]) -> Mapping[str, Any]:
    """The schema without references; one to what is ``above`` it becomes an object without
    properties."""
    name = _reference(schema)
    if name is not None:
        if name in above or name not in schemas:
            return {"type": "object"}
        above, schema = above | {name}, schemas[name]
    if schema.get("format") == "int-or-string":
        return {"x-kubernetes-int-or-string": True}
    resolved = dict(schema)
    properties = schema.get("properties")
    if properties:
        resolved["properties"] = {
            key: _resolved(item, schemas, above) for key, item in properties.items()
        }
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), Mapping):
            resolved[key] = _resolved(schema[key], schemas, above)
    return resolved


def _reference(schema: Mapping[str, Any]) -> str | None:
    # Beside other keywords a reference is published within allOf.
    for item in (schema, *schema.get("allOf", ())):
        if "$ref" in item:
            return str(item["$ref"]).removeprefix(_REF)
    return None


def check(
    policy: ValidatingAdmissionPolicy, types: Mapping[Kind, Type], params: Type
) -> list[ExpressionWarning]:
    """A warning for each expression of ``validations`` that does not fit all kinds in ``types``.
    ``params`` is the type of the parameters."""
    compilers = {kind: _compiler(policy, type_, params) for kind, type_ in types.items()}
    warnings = []
    for field, text in _expressions(policy):
        found = [
            f"{kind}: {issues}\n"
            for kind, compiler in compilers.items()
            if (issues := _issues(compiler, text))
        ]
        if found:
            warnings.append(ExpressionWarning(fieldRef=field, warning="\n".join(found)))
    return warnings


def _compiler(policy: ValidatingAdmissionPolicy, object_type: Type, params: Type) -> Compiler:
    types = {"object": object_type, "oldObject": object_type}
    if policy.spec.paramKind is not None:
        types["params"] = params
    compiler = Compiler(policy.spec.paramKind is not None, True, types)
    for variable in policy.spec.variables:
        # One that does not compile is of any type.
        with contextlib.suppress(Refused):
            compiler.variable(variable.name, variable.expression)
    return compiler


def _expressions(policy: ValidatingAdmissionPolicy) -> Iterator[tuple[str, str]]:
    for position, item in enumerate(policy.spec.validations):
        yield f"spec.validations[{position}].expression", item.expression
        if item.messageExpression:
            yield f"spec.validations[{position}].messageExpression", item.messageExpression


def _issues(compiler: Compiler, text: str) -> str:
    try:
        compiler.environment().compile(text)
    except cel.CelError as error:
        # What only an evaluation would need is no type error.
        return str(error) if error.kind == "compile" else ""
    return ""

"""Rules of FlowSchemas.

In: FlowSchemas. Out: field errors. Called by: ``flowschema``. Upstream:
pkg/apis/flowcontrol/validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trireme.api import rules
from trireme.api.flowcontrol.v1 import conditions, mandatory
from trireme.api.flowcontrol.v1.flowschema_types import (
    FlowSchema,
    FlowSchemaSpec,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    ResourcePolicyRule,
    Subject,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_MOST: Final = 10000
_VERBS: Final = (
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "proxy",
    "update",
    "watch",
)
# The kinds of subjects: the field that each is in.
_SUBJECTS: Final = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_NAMESPACE: Final = "each member of this list must be '*' or a DNS-1123 label; "


def validate(new: FlowSchema) -> Errors:
    """Precedence, level and rules; mandatory ones are fixed."""
    errs: Errors = []
    at = field.path("spec")
    _spec(errs, at, new.metadata.name, new.spec)
    fixed = mandatory.FLOW_SCHEMAS.get(new.metadata.name)
    if fixed is not None and new.spec != fixed:
        detail = f"spec of '{new.metadata.name}' must equal the fixed value"
        errs.append(field.invalid(at, new.spec, detail))
    conditions.check(errs, new.status.conditions)
    return errs


def _spec(errs: Errors, at: Path, name: str, spec: FlowSchemaSpec) -> None:
    where, precedence = at.child("matchingPrecedence"), spec.matchingPrecedence
    if precedence <= 0:
        errs.append(field.invalid(where, precedence, "must be a positive value"))
    if precedence > _MOST:
        errs.append(field.invalid(where, precedence, f"must not be greater than {_MOST}"))
    if precedence == 1 and name != mandatory.EXEMPT:
        detail = "only the schema named 'exempt' may have matchingPrecedence 1"
        errs.append(field.invalid(where, precedence, detail))
    method = spec.distinguisherMethod
    if method is not None and method.type not in ("ByNamespace", "ByUser"):
        where = at.child("distinguisherMethod", "type")
        errs.append(field.not_supported(where, method, ("ByNamespace", "ByUser")))
    level, where = spec.priorityLevelConfiguration.name, at.child("priorityLevelConfiguration")
    if rules.required(errs, where, "name", level, "must reference a priority level"):
        rules.syntax(errs, where, "name", level, names.is_dns1123_subdomain)
    for position, item in enumerate(spec.rules):
        _policy(errs, at.child("rules").index(position), item)


def _policy(errs: Errors, at: Path, item: PolicyRulesWithSubjects) -> None:
    detail = "subjects must contain at least one value"
    rules.required(errs, at, "subjects", item.subjects, detail)
    for position, subject in enumerate(item.subjects or []):
        _subject(errs, at.child("subjects").index(position), subject)
    if not item.resourceRules and not item.nonResourceRules:
        detail = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errs.append(field.required(at, detail))
    for position, rule in enumerate(item.resourceRules):
        _resources(errs, at.child("resourceRules").index(position), rule)
    for position, urls in enumerate(item.nonResourceRules):
        _urls(errs, at.child("nonResourceRules").index(position), urls)


def _subject(errs: Errors, at: Path, subject: Subject) -> None:
    kind = subject.kind
    if kind not in _SUBJECTS:
        errs.append(field.not_supported(at.child("kind"), kind, tuple(_SUBJECTS)))
        return
    subject_field = _SUBJECTS[kind]
    value, where = getattr(subject, subject_field), at.child(subject_field)
    if value is None:
        errs.append(
            field.required(where, f"{subject_field} is required when subject kind is '{kind}'")
        )
    else:
        there = rules.required(errs, where, "name", value.name)
        if kind == "ServiceAccount":
            if there and value.name != "*":
                rules.syntax(errs, where, "name", value.name, names.is_dns1123_subdomain)
            detail = "must specify namespace for service account"
            if rules.required(errs, where, "namespace", value.namespace, detail):
                rules.syntax(errs, where, "namespace", value.namespace, names.is_dns1123_label)
    for other in ("ServiceAccount", "User", "Group"):
        name = _SUBJECTS[other]
        if other != kind and getattr(subject, name) is not None:
            detail = f"{name} is forbidden when subject kind is not '{other}'"
            errs.append(field.forbidden(at.child(name), detail))


def _verbs(errs: Errors, at: Path, verbs: Sequence[str]) -> None:
    where = at.child("verbs")
    if not verbs:
        errs.append(field.required(where, "verbs must contain at least one value"))
    elif "*" in verbs:
        _wildcard_alone(errs, where, verbs, "verbs")
    elif not {*verbs} <= {*_VERBS}:
        errs.append(field.not_supported(where, verbs, _VERBS))


def _wildcard_alone(errs: Errors, at: Path, items: Sequence[str], what: str) -> None:
    if len(items) > 1 and "*" in items:
        detail = f"if '*' is present, must not specify other {what}"
        errs.append(field.invalid(at, items, detail))


def _resources(errs: Errors, at: Path, rule: ResourcePolicyRule) -> None:
    _verbs(errs, at, rule.verbs or [])
    for name, one, many in (
        ("apiGroups", "api group", "api groups"),
        ("resources", "resource", "resources"),
    ):
        items = getattr(rule, name) or []
        detail = f"resource rules must supply at least one {one}"
        if rules.required(errs, at, name, items, detail):
            _wildcard_alone(errs, at.child(name), items, many)
    spaces, where = rule.namespaces or [], at.child("namespaces")
    if not spaces and not rule.clusterScope:
        detail = "resource rules that are not cluster scoped must supply at least one namespace"
        errs.append(field.required(where, detail))
    elif "*" in spaces:
        _wildcard_alone(errs, where, spaces, "namespaces")
    else:
        for position, space in enumerate(spaces):
            messages = [_NAMESPACE + each for each in names.is_dns1123_label(space)]
            rules.add(errs, where.index(position), space, messages)


def _urls(errs: Errors, at: Path, rule: NonResourcePolicyRule) -> None:
    _verbs(errs, at, rule.verbs or [])
    urls, where = rule.nonResourceURLs or [], at.child("nonResourceURLs")
    if not urls:
        errs.append(field.required(where, "nonResourceURLs must contain at least one value"))
    elif "*" in urls:
        _wildcard_alone(errs, where, urls, "non-resource URLs")
    else:
        for position, url in enumerate(urls):
            message = _url(url)
            if message:
                errs.append(field.invalid(where.index(position), url, message))


def _url(url: str) -> str:
    """What is wrong with a path; "" when nothing is."""
    if not url:
        return "must not be empty"
    if url == "/":
        return ""
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    stars = url.count("*")
    if stars > 1 or (stars == 1 and not url.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""

"""What rules of webhooks and policies may match.

In: the parts of ``matching`` and where they stand. Out: errors added to a list. Called by: the
rules of all kinds of this group. Upstream: pkg/apis/admissionregistration/validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trireme.api import rules
from trireme.api.admissionregistration.v1.matching import (
    MatchResources,
    NamedRuleWithOperations,
    ParamKind,
    ParamRef,
    RuleWithOperations,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_MUTATING: Final = ("*", "CONNECT", "CREATE", "UPDATE")
_STATIC: Final = ".static.k8s.io"


def warn_static(name: str) -> list[str]:
    """The warning for a name reserved for static configuration files."""
    if not name.endswith(_STATIC):
        return []
    return [
        f'metadata.name: names ending with "{_STATIC}" are reserved for static manifest-based '
        "configurations and cannot be managed via the API"
    ]


def rule(errs: Errors, at: Path, item: RuleWithOperations | NamedRuleWithOperations) -> None:
    """Operations, groups, versions, resources and scope."""
    where = at.child("operations")
    if not item.operations:
        errs.append(field.required(where))
    _wildcard_alone(errs, where, item.operations, "operations")
    for position, operation in enumerate(item.operations):
        if operation not in _OPERATIONS:
            errs.append(field.not_supported(where.index(position), operation, _OPERATIONS))
    for name, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = getattr(item, name)
        rules.required(errs, at, name, values)
        _wildcard_alone(errs, at.child(name), values, what)
    for position, version in enumerate(item.apiVersions):
        if not version:
            errs.append(field.required(at.child("apiVersions").index(position)))
    _resources(errs, at.child("resources"), item.resources)
    rules.declared(errs, at, item, "scope")


def _wildcard_alone(errs: Errors, at: Path, values: Sequence[str], what: str) -> None:
    if len(values) > 1 and "*" in values:
        errs.append(field.invalid(at, values, f"if '*' is present, must not specify other {what}"))


def _resources(errs: Errors, at: Path, resources: list[str]) -> None:
    if not resources:
        errs.append(field.required(at))
    whole: set[str] = set()
    everywhere: set[str] = set()
    bare = False
    for position, text in enumerate(resources):
        if not text:
            errs.append(field.required(at.index(position)))
            continue
        resource, slash, part = text.partition("/")
        if not slash:
            bare = text != "*"  # the last one counts, as upstream
            continue
        if resource in whole:
            detail = f"if '{resource}/*' is present, must not specify {text}"
            errs.append(field.invalid(at.index(position), text, detail))
        if part in everywhere:
            detail = f"if '*/{part}' is present, must not specify {text}"
            errs.append(field.invalid(at.index(position), text, detail))
        if part == "*":
            whole.add(resource)
        if resource == "*":
            everywhere.add(part)
    if len(resources) > 1 and "*/*" in resources:
        detail = "if '*/*' is present, must not specify other resources"
        errs.append(field.invalid(at, resources, detail))
    if "*" in resources and bare:
        detail = "if '*' is present, must not specify other resources without subresources"
        errs.append(field.invalid(at, resources, detail))


def match_resources(errs: Errors, at: Path, match: MatchResources | None) -> None:
    """Selectors and rules; None is fine."""
    if match is None:
        return
    if match.matchPolicy is None:
        errs.append(field.required(at.child("matchPolicy")))
    rules.declared(errs, at, match, "matchPolicy")
    for name in ("namespaceSelector", "objectSelector"):
        selector = getattr(match, name)
        if selector is None:
            errs.append(field.required(at.child(name)))
        else:
            rules.label_selector(errs, at.child(name), selector)
    for name in ("resourceRules", "excludeResourceRules"):
        for position, item in enumerate(getattr(match, name)):
            _named_rule(errs, at.child(name).index(position), item)


def _named_rule(errs: Errors, at: Path, item: NamedRuleWithOperations) -> None:
    used: set[str] = set()
    for position, name in enumerate(item.resourceNames):
        where = at.child("resourceNames").index(position)
        rules.add(errs, where, name, names.is_path_segment(name))
        if name in used:
            errs.append(field.duplicate(where, name))
        used.add(name)
    rule(errs, at, item)


def mutating_operations(errs: Errors, at: Path, match: MatchResources) -> None:
    """Deletions cannot be changed."""
    for item in match.resourceRules:
        for operation in item.operations:
            if operation not in _MUTATING:
                where = at.child("resourceRules", "operations")
                errs.append(field.not_supported(where, operation, _MUTATING))


def param_kind(errs: Errors, at: Path, kind: ParamKind) -> None:
    """A group and version, and a kind."""
    where, text = at.child("apiVersion"), kind.apiVersion
    if not text:
        errs.append(field.required(where))
    elif text != "/" and text.count("/") > 1:
        errs.append(field.invalid(where, text, f"unexpected GroupVersion string: {text}"))
    else:
        group, _, version = ("", "", "") if text == "/" else text.rpartition("/")
        if group:
            _joined(errs, where, group, names.is_dns1123_subdomain(group))
        if not version:
            errs.append(field.invalid(where, text, "version must be specified"))
        else:
            _joined(errs, where, version, names.is_dns1035_label(version))
    if not kind.kind:
        errs.append(field.required(at.child("kind")))
    else:
        messages = names.is_dns1035_label(kind.kind.lower())
        if messages:
            detail = "may have mixed case, but should otherwise match: " + ",".join(messages)
            errs.append(field.invalid(at.child("kind"), kind.kind, detail))


def _joined(errs: Errors, at: Path, value: str, messages: list[str]) -> None:
    if messages:
        errs.append(field.invalid(at, value, ",".join(messages)))


def param_ref(errs: Errors, at: Path, ref: ParamRef | None) -> None:
    """A name or a selector; None is fine."""
    if ref is None:
        return
    detail = "name and selector are mutually exclusive"
    if ref.name:
        rules.syntax(errs, at, "name", ref.name, names.is_path_segment)
        if ref.selector is not None:
            errs.append(field.forbidden(at.child("name"), detail))
    if ref.selector is not None:
        rules.label_selector(errs, at.child("selector"), ref.selector)
        if ref.name:
            errs.append(field.forbidden(at.child("selector"), detail))
    if not ref.name and ref.selector is None:
        errs.append(field.required(at, "one of name or selector must be specified"))
    action = ref.parameterNotFoundAction or ""
    rules.required_one_of(errs, at, "parameterNotFoundAction", action, ("Deny", "Allow"))

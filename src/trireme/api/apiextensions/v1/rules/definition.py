"""The rules of a definition as a whole: on create, on update, and of its status.

In: a decoded, defaulted definition, and the stored one on update. Out: errors at the places of
``hoisted``. Rules: upstream apiextensions validation.go.
"""

from __future__ import annotations

from trireme.api import rules
from trireme.api.apiextensions.schema import formats
from trireme.api.apiextensions.v1.rules import approval, conversion, names, schemas, versions
from trireme.api.apiextensions.v1.rules.hoisted import Hoisted
from trireme.api.apiextensions.v1.rules.options import (
    Options,
    for_update,
    has,
    has_extensions,
    walk,
)
from trireme.api.apiextensions.v1.types import CustomResourceDefinition
from trireme.api.rules import Errors
from trireme.machinery import field, gotext
from trireme.machinery import names as syntax
from trireme.machinery.field import Path

_SPEC = field.path("spec")
_STATUS = field.path("status")


def name_errors(name: str) -> list[str]:
    """The syntax of a definition's name; ``validate`` compares it with the spec."""
    return syntax.is_dns1123_subdomain(name)


def validate(new: CustomResourceDefinition) -> Errors:
    """Errors of a new definition."""
    errs: Errors = []
    if new.metadata.name != f"{new.spec.names.plural}.{new.spec.group}":
        detail = 'must be spec.names.plural+"."+spec.group'
        errs.append(field.invalid(field.path("metadata", "name"), new.metadata.name, detail))
    _spec(errs, new, Options())
    _rest(errs, new)
    approval.validate(errs, new, None)
    _no_preserving(errs, new, None)
    return errs


def validate_update(new: CustomResourceDefinition, old: CustomResourceDefinition) -> Errors:
    """Errors of a changed definition; what was accepted before stays accepted."""
    errs: Errors = []
    options = for_update(new, old)
    _spec(errs, new, options)
    if options.fixed_names:
        rules.unchanged(errs, _SPEC, "scope", new.spec.scope, old.spec.scope)
        kind = _SPEC.child("names")
        rules.unchanged(errs, kind, "kind", new.spec.names.kind, old.spec.names.kind)
    rules.unchanged(errs, _SPEC, "group", new.spec.group, old.spec.group)
    plural = new.spec.names.plural, old.spec.names.plural
    rules.unchanged(errs, _SPEC.child("names"), "plural", *plural)
    _rest(errs, new)
    approval.validate(errs, new, old)
    _no_preserving(errs, new, old)
    return errs


def validate_status(new: CustomResourceDefinition) -> Errors:
    """The accepted names are names."""
    errs: Errors = []
    names.validate(errs, new.status.acceptedNames, _STATUS.child("acceptedNames"))
    return errs


def warnings(new: CustomResourceDefinition, old: CustomResourceDefinition | None) -> list[str]:
    """Formats that nothing checks, but for those that were there before."""
    before = set() if old is None else set(_unknown_formats(old))
    found = [name for name in _unknown_formats(new) if name not in before]
    return [f"unrecognized format {gotext.quote(name)}" for name in found]


def _unknown_formats(obj: CustomResourceDefinition) -> list[str]:
    return [
        schema["format"]
        for root in Hoisted(obj.spec).schemas()
        for schema in walk(root)
        if "format" in schema and not formats.known(schema)
    ]


def _rest(errs: Errors, new: CustomResourceDefinition) -> None:
    errs += validate_status(new)
    _stored_versions(errs, new, _STATUS.child("storedVersions"))


def _stored_versions(errs: Errors, new: CustomResourceDefinition, at: Path) -> None:
    stored = new.status.storedVersions or []
    if not stored:
        bad_value = new.status.storedVersions
        errs.append(field.invalid(at, bad_value, "must have at least one stored version"))
        return
    known = {version.name for version in new.spec.versions}
    for version in new.spec.versions:
        if version.storage and version.name not in stored:
            detail = f"must have the storage version {version.name}"
            errs.append(field.invalid(at, stored, detail))
    for name in dict.fromkeys(stored):
        if name not in known:
            position = len(stored) - 1 - stored[::-1].index(name)
            detail = (
                f"missing from spec.versions; {name} was previously a storage version, and must "
                "remain in spec.versions until a storage migration ensures no data remains "
                f"persisted in {name} and removes {name} from status.storedVersions"
            )
            errs.append(field.invalid(at.index(position), name, detail))


def _spec(errs: Errors, new: CustomResourceDefinition, options: Options) -> None:
    spec, at = new.spec, _SPEC
    group = at.child("group")
    if not spec.group:
        errs.append(field.required(group))
    elif messages := syntax.is_dns1123_subdomain(spec.group):
        errs.append(field.invalid(group, spec.group, ",".join(messages)))
    elif "." not in spec.group:
        errs.append(field.invalid(group, spec.group, "should be a domain with at least one dot"))
    rules.declared(errs, at, spec, "scope")
    hoisted = Hoisted(spec)
    preserving = spec.preserveUnknownFields
    if not preserving:
        options.structural = True
    _schemas_are_there(errs, hoisted, options, at)
    every = hoisted.schemas()
    if has(every, lambda schema: schema.get("default") is not None):
        options.structural = True
        if preserving:
            detail = "must be false in order to use defaults in the schema"
            errs.append(field.invalid(at.child("preserveUnknownFields"), True, detail))
    if has(every, has_extensions):
        options.structural = True
    versions.validate(errs, hoisted, options, at)
    _names(errs, new, at)
    first = spec.versions[0].name if spec.versions else ""
    has_status = hoisted.top.has_status or any(part.has_status for part in hoisted.parts)
    if hoisted.top.has_validation:
        where = at.child("validation")
        schemas.validate(errs, hoisted.top.schema, has_status, options, first, where)
    versions.shared(errs, hoisted, options, at)
    if spec.conversion is not None and spec.conversion.strategy != "None" and preserving:
        detail = "must be None if spec.preserveUnknownFields is true"
        where = at.child("conversion", "strategy")
        errs.append(field.invalid(where, spec.conversion.strategy, detail))
    conversion.validate(errs, spec.conversion, options, at.child("conversion"))


def _schemas_are_there(errs: Errors, hoisted: Hoisted, options: Options, at: Path) -> None:
    if hoisted.top.schema is not None:
        return
    for position, part in enumerate(hoisted.parts):
        where = at.child("versions").index(position).child("schema", "openAPIV3Schema")
        if part.schema is not None:
            continue
        if options.schema_required:
            errs.append(field.required(where))
        elif not hoisted.spec.preserveUnknownFields and hoisted.spec.versions[position].served:
            errs.append(field.required(where, "because otherwise all fields are pruned"))


def _names(errs: Errors, new: CustomResourceDefinition, at: Path) -> None:
    given = new.spec.names
    for name in ("plural", "singular", "kind", "listKind"):
        rules.required(errs, at.child("names"), name, getattr(given, name))
    names.validate(errs, given, at.child("names"))


def _no_preserving(
    errs: Errors, new: CustomResourceDefinition, old: CustomResourceDefinition | None
) -> None:
    if new.spec.preserveUnknownFields and not (old and old.spec.preserveUnknownFields):
        detail = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead"
        )
        errs.append(field.invalid(_SPEC.child("preserveUnknownFields"), True, detail))

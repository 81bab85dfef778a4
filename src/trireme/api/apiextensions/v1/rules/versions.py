"""The versions of a definition: names, flags, subresources, columns, selectable fields.

Upstream: validation.go validateCustomResourceDefinitionVersion and its neighbours.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from trireme.api.apiextensions.schema import fieldpath, structural
from trireme.api.apiextensions.schema.structural import NotStructural, Schema
from trireme.api.apiextensions.v1.rules import schemas
from trireme.api.apiextensions.v1.rules.hoisted import Hoisted, Part
from trireme.api.apiextensions.v1.rules.options import MAX_SELECTABLE, Options
from trireme.api.apiextensions.v1.types import (
    CustomResourceColumnDefinition,
    CustomResourceSubresources,
    SelectableField,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_FORMATS: Final = (
    "byte", "date", "date-time", "double", "float", "int32", "int64", "password",
)  # fmt: skip


def validate(errs: Errors, hoisted: Hoisted, options: Options, at: Path) -> None:
    """Each version on its own, then all together."""
    spec = hoisted.spec
    where = at.child("versions")
    per_version = any(part.subresources is not None for part in hoisted.parts)
    for position, (version, part) in enumerate(zip(spec.versions, hoisted.parts, strict=True)):
        here = where.index(position)
        messages = names.is_dns1035_label(version.name)
        if messages:
            errs.append(field.invalid(here.child("name"), version.name, ",".join(messages)))
        has_status = part.has_status if per_version else hoisted.top.has_status
        for detail in _deprecation(version.deprecated, version.deprecationWarning):
            warning = version.deprecationWarning
            errs.append(field.invalid(here.child("deprecationWarning"), warning, detail))
        if part.has_validation:
            schema_at = here.child("schema")
            schemas.validate(errs, part.schema, has_status, options, version.name, schema_at)
        _parts(errs, part, here)
        if part.selectable:
            _selectable_fields(errs, part, options, version.name, here)
    listed = [version.name for version in spec.versions]
    if len(set(listed)) < len(listed):
        bad_value = hoisted.internal_versions()
        errs.append(field.invalid(where, bad_value, "must contain unique version names"))
    if sum(version.storage for version in spec.versions) != 1:
        detail = "must have exactly one version marked as storage version"
        raw = hoisted.internal_versions() if spec.versions else []
        errs.append(field.invalid(where, raw, detail))
    # Upstream's internal form names the first version once more.
    first = spec.versions[0].name if spec.versions else ""
    messages = names.is_dns1035_label(first) if first else []
    if messages:
        errs.append(field.invalid(at.child("version"), first, ",".join(messages)))


def shared(errs: Errors, hoisted: Hoisted, options: Options, at: Path) -> None:
    """What all versions have alike, where it stands at the top."""
    _parts(errs, hoisted.top, at)
    if not hoisted.top.selectable:
        return
    if not hoisted.top.has_validation:
        detail = "may only be set when validations.schema is included"
        errs.append(field.invalid(at.child("selectableFields"), "", detail))
        return
    _selectable_in(errs, hoisted.top.selectable, hoisted.top.schema, options, "", at)


def _parts(errs: Errors, part: Part, at: Path) -> None:
    _subresources(errs, part.subresources, at.child("subresources"))
    for position, column in enumerate(part.columns):
        _column(errs, column, at.child("additionalPrinterColumns").index(position))


def _deprecation(deprecated: bool, warning: str | None) -> list[str]:
    if warning is None:
        return []
    if not deprecated:
        return ["can only be set for deprecated versions"]
    found: list[str] = []
    if len(warning.encode()) > 256:
        found.append("must be <= 256 characters long")
    if not warning:
        found.append("must not be an empty string")
    for position, character in enumerate(warning):
        if unicodedata.category(character)[0] in "CZ" and character != " ":
            at = len(warning[:position].encode())
            found.append(
                "must only contain printable UTF-8 characters; non-printable character found at "
                f"index {at}"
            )
            break
    return found


def _subresources(errs: Errors, given: CustomResourceSubresources | None, at: Path) -> None:
    scale = None if given is None else given.scale
    if scale is None:
        return
    required = (
        ("specReplicasPath", scale.specReplicasPath, ".spec.", ".spec"),
        ("statusReplicasPath", scale.statusReplicasPath, ".status.", ".status"),
    )
    for name, path, prefix, root in required:
        here = at.child(f"scale.{name}")
        if not path:
            errs.append(field.required(here))
        elif not _simple_path(errs, path, here) and not path.startswith(prefix):
            errs.append(field.invalid(here, path, f"should be a json path under {root}"))
    path = scale.labelSelectorPath or ""
    here = at.child("scale.labelSelectorPath")
    if path and not _simple_path(errs, path, here) and not path.startswith((".spec.", ".status.")):
        detail = "should be a json path under either .spec or .status"
        errs.append(field.invalid(here, path, detail))


def _simple_path(errs: Errors, path: str, at: Path) -> bool:
    """Whether an error was added."""
    if path.startswith("."):
        return False
    errs.append(field.invalid(at, path, "must be a simple json path starting with ."))
    return True


def _column(errs: Errors, column: CustomResourceColumnDefinition, at: Path) -> None:
    if not column.name:
        errs.append(field.required(at.child("name")))
    detail = f"must be one of {','.join(_TYPES)}"
    if not column.type:
        errs.append(field.required(at.child("type"), detail))
    elif column.type not in _TYPES:
        errs.append(field.invalid(at.child("type"), column.type, detail))
    if column.format and column.format not in _FORMATS:
        detail = f"must be one of {','.join(_FORMATS)}"
        errs.append(field.invalid(at.child("format"), column.format, detail))
    if not column.jsonPath:
        errs.append(field.required(at.child("JSONPath")))
    else:
        _simple_path(errs, column.jsonPath, at.child("JSONPath"))


def _selectable_fields(errs: Errors, part: Part, options: Options, version: str, at: Path) -> None:
    if part.schema is None:
        detail = "may only be set when `version.schema.openAPIV3Schema` is not included"
        errs.append(field.invalid(at.child("selectableFields"), "", detail))
        return
    _selectable_in(errs, part.selectable, part.schema, options, version, at)


def _selectable_in(
    errs: Errors,
    given: list[SelectableField],
    schema: Schema | None,
    options: Options,
    version: str,
    at: Path,
) -> None:
    try:
        root = structural.of(schema or {})
    except NotStructural as problem:
        errs.append(field.invalid(at.child("schema.openAPIV3Schema"), "", str(problem)))
        return
    where = at.child("selectableFields")
    used: set[str] = set()
    for position, item in enumerate(given):
        here = where.index(position).child("jsonPath")
        if not item.jsonPath:
            errs.append(field.required(here))
            continue
        try:
            found = fieldpath.find(item.jsonPath, root, brackets=False)
        except ValueError as problem:
            errs.append(field.invalid(here, item.jsonPath, f"is an invalid path: {problem}"))
            continue
        if found.steps[:1] == ["metadata"]:
            detail = "must not point to fields in metadata"
            errs.append(field.invalid(here, item.jsonPath, detail))
        if found.node.type not in ("string", "boolean", "integer"):
            detail = (
                "must point to a field of type string, boolean or integer. Enum string fields and "
                "strings with formats are allowed."
            )
            errs.append(field.invalid(here, item.jsonPath, detail))
        if str(found.path) in used:
            errs.append(field.duplicate(here, item.jsonPath))
        used.add(str(found.path))
    if len(used) > MAX_SELECTABLE and version not in options.many_selectable:
        errs.append(field.too_many(where, len(used), MAX_SELECTABLE))

"""StorageVersion: the version in which each API server stores a kind, and those it can decode.

In: StorageVersions. Called by: the write path, server-side printing. Upstream:
pkg/apis/apiserverinternal/validation, pkg/registry/apiserverinternal; KEP-2339.
"""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, metadata, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource, status
from trireme.machinery.types import (
    Int64,
    ListSet,
    Required,
    Struct,
    Time,
    always,
    constant,
    listmap,
    null,
)


class ServerStorageVersion(Struct):
    apiServerID: Annotated[str, Required()] = ""
    encodingVersion: Annotated[str, Required()] = ""
    decodableVersions: Annotated[list[str], Required(), ListSet()] = []
    servedVersions: Annotated[list[str], ListSet()] = []


class StorageVersionCondition(Struct):
    type: Annotated[str, Required()] = always(str)
    status: Annotated[str, Required()] = always(str)
    observedGeneration: Int64 = 0
    lastTransitionTime: Time | None = null()
    reason: Annotated[str, Required()] = always(str)
    message: Annotated[str, Required()] = ""


class StorageVersionSpec(Struct):
    """No fields."""


class StorageVersionStatus(Struct):
    storageVersions: Annotated[list[ServerStorageVersion], listmap("apiServerID")] = []
    commonEncodingVersion: str | None = None
    conditions: Annotated[list[StorageVersionCondition], listmap("type")] = []


class StorageVersion(Struct):
    kind: str = constant("StorageVersion")
    apiVersion: str = constant("internal.apiserver.k8s.io/v1alpha1")
    metadata: Annotated[meta.ObjectMeta, Required()] = always(meta.ObjectMeta)
    spec: StorageVersionSpec = always(StorageVersionSpec)
    status: StorageVersionStatus = always(StorageVersionStatus)


_NO_LABEL = (
    "an apiVersion is a DNS-1035 label, which must consist of lower case alphanumeric characters "
    "or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. "
    "'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?') with an "
    "optional DNS subdomain prefix and '/' (e.g. 'example.com/MyVersion')"
)
_EMPTY = "must be non-empty"


def is_name(text: str) -> list[str]:
    """``<group>.<resource>``."""
    group, dot, resource = text.rpartition(".")
    if not dot:
        return ["name must be in the form of <group>.<resource>"]
    errs = [f"the group segment {each}" for each in names.is_dns1123_subdomain(group)]
    return errs + [f"the resource segment {each}" for each in names.is_dns1035_label(resource)]


def validate_status(new: StorageVersion, _old: StorageVersion) -> Errors:
    """Each server once, and the common encoding version."""
    errs: Errors = []
    at, there = field.path("status"), new.status
    used: set[str] = set()
    for position, item in enumerate(there.storageVersions):
        here = at.child("storageVersions").index(position)
        if item.apiServerID in used:
            errs.append(field.duplicate(here.child("apiServerID"), item.apiServerID))
        used.add(item.apiServerID)
        _server(errs, here, item)
    _common(errs, at.child("commonEncodingVersion"), there)
    _conditions(errs, at, there.conditions)
    return errs


def _server(errs: Errors, at: Path, item: ServerStorageVersion) -> None:
    rules.syntax(errs, at, "apiServerID", item.apiServerID, names.is_dns1123_subdomain)
    _version(errs, at.child("encodingVersion"), item.encodingVersion)
    decodable = item.decodableVersions
    for position, version in enumerate(decodable):
        _version(errs, at.child("decodableVersions").index(position), version)
    if item.encodingVersion not in decodable:
        detail = f"decodableVersions must include encodingVersion {item.encodingVersion}"
        errs.append(field.invalid(at.child("decodableVersions"), decodable, detail))
    for position, version in enumerate(item.servedVersions):
        where = at.child("servedVersions").index(position)
        _version(errs, where, version)
        if version not in decodable:
            detail = (
                f"individual served version : {version} must be included in "
                f"decodableVersions : [{' '.join(decodable)}]"
            )
            errs.append(field.invalid(where, version, detail))


def _version(errs: Errors, at: Path, text: str) -> None:
    parts = text.split("/")
    found: list[str] = []
    if len(parts) > 2:
        found = [_NO_LABEL]
    else:
        if len(parts) == 2:
            group = [_EMPTY] if not parts[0] else names.is_dns1123_subdomain(parts[0])
            found += [f"group part: {each}" for each in group]
        version = [_EMPTY] if not parts[-1] else names.is_dns1035_label(parts[-1])
        found += [f"version part: {each}" for each in version]
    if found:
        errs.append(field.invalid(at, text, ",".join(found)))


def _common(errs: Errors, at: Path, there: StorageVersionStatus) -> None:
    versions = {item.encodingVersion for item in there.storageVersions}
    recorded = there.commonEncodingVersion
    common = next(iter(versions)) if len(versions) == 1 else None
    if common is None and recorded is not None:
        detail = (
            "should be nil if servers do not agree on the same encoding version, or if there is no "
            "server reporting the supported versions yet"
        )
        errs.append(field.invalid(at, recorded, detail))
    elif common is not None and recorded is None:
        errs.append(field.invalid(at, None, f"the common encoding version is {common}"))
    elif common != recorded:
        errs.append(field.invalid(at, recorded, f"the actual common encoding version is {common}"))


def _conditions(errs: Errors, at: Path, items: list[StorageVersionCondition]) -> None:
    """Upstream names the conditions by the status, without their field."""
    used: dict[str, int] = {}
    for position, item in enumerate(items):
        here = at.index(position)
        if item.type in used:
            detail = (
                "the type of the condition is not unique, it also appears in "
                f"conditions[{used[item.type]}]"
            )
            errs.append(field.invalid(here.child("type"), item.type, detail))
        used[item.type] = position
        rules.syntax(errs, here, "type", item.type, names.is_qualified_name)
        rules.syntax(errs, here, "status", item.status, names.is_qualified_name)
        rules.declared(errs, here, item, "reason", "message")


def _versions(obj: StorageVersion) -> str:
    return columns.few(
        f"{item.apiServerID}={item.encodingVersion}" for item in obj.status.storageVersions
    )


RESOURCE = Resource(
    type=StorageVersion,
    plural="storageversions",
    namespaced=False,
    subresources=(status(),),
    reset_fields={"status": ("metadata", "spec")},
    name_errors=is_name,
    prepare_status=metadata.prepare_status,
    validate_status=validate_status,
    unconditional_update=False,
    columns=(
        columns.NAME,
        Column(
            "CommonEncodingVersion",
            "status.commonEncodingVersion",
            "In which version all store it.",
            unset=columns.UNSET,
        ),
        Column(
            "StorageVersions",
            _versions,
            "In which version each server stores it.",
            empty=columns.UNSET,
        ),
        columns.AGE,
    ),
    default_on=False,
)

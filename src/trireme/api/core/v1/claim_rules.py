"""Rules of persistent volume claims that stand alone or in a template.

In: a PersistentVolumeClaimSpec or -Template. Out: errors on the list given. Called by: ephemeral
volumes of pods. Upstream: pkg/apis/core/validation;
https://kubernetes.io/docs/concepts/storage/persistent-volumes/.
"""

from __future__ import annotations

from typing import Final

from trireme.api import metadata, rules
from trireme.api.core.v1.persistentvolumeclaim_types import (
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimTemplate,
)
from trireme.api.core.v1.references import TypedLocalObjectReference, TypedObjectReference
from trireme.api.rules import Errors
from trireme.machinery import field, names, quantity
from trireme.machinery.field import Path

_ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def template(errs: Errors, at: Path, value: PersistentVolumeClaimTemplate) -> None:
    """A claim that is made for a pod: only labels and annotations of its metadata count."""
    errs += metadata.of_template(value.metadata, at.child("metadata"))
    spec(errs, at.child("spec"), value.spec)


def spec(errs: Errors, at: Path, value: PersistentVolumeClaimSpec) -> None:
    """The spec of a claim."""
    where = at.child("accessModes")
    if not value.accessModes:
        errs.append(field.required(where, "at least 1 access mode is required"))
    rules.label_selector(errs, at.child("selector"), value.selector)
    for mode in value.accessModes:
        rules.one_of(errs, at, "accessModes", mode, _ACCESS_MODES)
    known = {mode for mode in value.accessModes if mode in _ACCESS_MODES}
    if "ReadWriteOncePod" in known and len(known) > 1:
        detail = "may not use ReadWriteOncePod with other access modes"
        errs.append(field.forbidden(where, detail))
    size, where = value.resources.requests.get("storage"), at.child("resources").key("storage")
    if size is None:
        errs.append(field.required(where))
    elif quantity.parse(size).nanos <= 0:
        errs.append(field.invalid(where, size, rules.POSITIVE))
    for name in ("storageClassName", "volumeAttributesClassName"):
        text = getattr(value, name)
        if text:
            rules.syntax(errs, at, name, text, names.is_dns1123_subdomain)
    rules.declared(errs, at, value, "volumeMode")
    _sources(errs, at, value)


def _sources(errs: Errors, at: Path, value: PersistentVolumeClaimSpec) -> None:
    source, reference = value.dataSource, value.dataSourceRef
    if source is not None:
        _source(errs, at.child("dataSource"), source)
    if reference is not None:
        _source(errs, at.child("dataSourceRef"), reference)
        if reference.namespace:
            here = at.child("dataSourceRef")
            rules.syntax(errs, here, "namespace", reference.namespace, names.is_dns1123_label)
    if source is None or reference is None:
        return
    place = str(at.child("dataSource"))
    if reference.namespace:
        detail = "may not be specified when dataSourceRef.namespace is specified"
        errs.append(field.invalid(at, place, detail))
    elif (source.apiGroup, source.kind, source.name) != (
        reference.apiGroup,
        reference.kind,
        reference.name,
    ):
        errs.append(field.invalid(at, place, "must match dataSourceRef"))


def _source(
    errs: Errors, at: Path, value: TypedLocalObjectReference | TypedObjectReference
) -> None:
    rules.declared(errs, at, value, "name", "kind")
    if value.apiGroup:
        rules.syntax(errs, at, "apiGroup", value.apiGroup, names.is_dns1123_subdomain)
    elif value.kind != "PersistentVolumeClaim":
        detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errs.append(field.invalid(at, value.kind, detail))

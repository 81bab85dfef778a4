"""``metadata.managedFields`` as values: who owns which fields, since when.

In: entries as they are stored. Out: owners by identity, and entries again, in upstream's order.
Called by ``manager`` and ``scale``. Upstream: apimachinery ``managedfields/internal``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from trireme.machinery import field, gotext
from trireme.machinery.apply import fieldset
from trireme.machinery.apply.fieldset import Set
from trireme.machinery.field import FieldError, Path
from trireme.machinery.meta import ManagedFieldsEntry

APPLY: Final = "Apply"
UPDATE: Final = "Update"
FIELDS_V1: Final = "FieldsV1"
MAX_UPDATERS: Final = 10
# Bytes of a manager's name, and of a subresource's.
NAME_LENGTH: Final = 128
_SUBRESOURCE_LENGTH: Final = 256
ANCIENT: Final = "ancient-changes"
BEFORE_APPLY: Final = "before-first-apply"

_encode = msgspec.json.Encoder().encode


class Identity(NamedTuple):
    """What identifies a manager. One that applies is the same in every version (``version`` "")."""

    manager: str
    operation: str
    version: str = ""
    subresource: str = ""

    def text(self) -> str:
        """The identity as upstream writes it; its order is the order of conflicts."""
        identity = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.version,
            "subresource": self.subresource,
        }
        return str(_encode({name: item for name, item in identity.items() if item}), "utf-8")

    def described(self) -> str:
        """The manager as a conflict names it."""
        result = gotext.quote(self.manager)
        if self.subresource:
            result += f" with subresource {gotext.quote(self.subresource)}"
        if self.operation == UPDATE:
            result += f" using {self.version}"
        return result


class Owner(NamedTuple):
    """What a manager owns, in which version's fields, and when that last changed. ``raw`` is the
    set as it is stored, while it is unchanged."""

    fields: Set
    version: str
    applied: bool
    time: str | None
    raw: msgspec.Raw | None = None

    def owning(self, fields: Set) -> Owner:
        """The same with other fields."""
        if fields is self.fields:
            return self
        return Owner(fields, self.version, self.applied, self.time)


Owners = dict[Identity, Owner]


def identity(manager: str, operation: str, version: str, subresource: str) -> Identity:
    """The identity of a manager that writes now."""
    kept = "" if operation == APPLY else version
    return Identity(manager or "unknown", operation, kept, subresource)


def decode(entries: Iterable[ManagedFieldsEntry], *, stored: bool = True) -> Owners:
    """The owners of entries. Raises ValueError for entries without content.

    Those that are not ``stored`` were written by a client, in whatever form.
    """
    owners: Owners = {}
    for position, entry in enumerate(entries):
        if entry.operation not in (APPLY, UPDATE):
            raise ValueError("operation must be `Apply` or `Update`")
        if not entry.apiVersion:
            raise ValueError("apiVersion must not be empty")
        if not entry.fieldsType:
            raise ValueError(f"missing fieldsType in managed fields entry {position}")
        if entry.fieldsType != FIELDS_V1:
            quoted = gotext.quote(entry.fieldsType)
            raise ValueError(f"invalid fieldsType {quoted} in managed fields entry {position}")
        applied = entry.operation == APPLY
        kept = "" if applied else entry.apiVersion
        key = Identity(entry.manager, entry.operation, kept, entry.subresource)
        try:
            fields = fieldset.decode(bytes(entry.fieldsV1))
        except ValueError as error:
            raise ValueError(f"error decoding versioned set: {error}") from None
        raw = entry.fieldsV1 if stored else None
        owners[key] = Owner(fields, entry.apiVersion, applied, entry.time, raw)
    return owners


def encode(owners: Owners) -> list[ManagedFieldsEntry]:
    """The entries of these owners: updaters last, each kind by time, manager, version."""
    entries = [_entry(key, owner) for key, owner in owners.items()]
    if len(entries) > 1:
        entries.sort(key=_order)
    return entries


def only(key: Identity, owner: Owner) -> list[ManagedFieldsEntry]:
    """The entries where one manager owns everything, whose set has its elements in order."""
    return [_entry(key, owner, msgspec.Raw(_encode(owner.fields)))]


def _entry(key: Identity, owner: Owner, fields: msgspec.Raw | None = None) -> ManagedFieldsEntry:
    fields = fields or owner.raw or msgspec.Raw(fieldset.encode(owner.fields))
    return ManagedFieldsEntry(
        manager=key.manager,
        operation=APPLY if owner.applied else key.operation,
        apiVersion=owner.version,
        time=owner.time,
        fieldsType=FIELDS_V1,
        fieldsV1=fields,
        subresource=key.subresource,
    )


def _order(entry: ManagedFieldsEntry) -> tuple[str, str, str, str, str]:
    # Times are canonical texts of one length: they sort as they are.
    return (
        entry.operation,
        entry.time or "",
        entry.manager,
        entry.apiVersion,
        entry.subresource,
    )


def problems(at: Path, entries: list[ManagedFieldsEntry]) -> list[FieldError]:
    """What is wrong with the entries of an object, by the rules of metadata."""
    found: list[FieldError] = []
    for position, entry in enumerate(entries):
        if (
            entry.operation in (APPLY, UPDATE)
            and entry.fieldsType in ("", FIELDS_V1)
            and _is_plain(entry.manager)
            and len(entry.subresource) < _SUBRESOURCE_LENGTH // 4
        ):
            continue
        here = at.index(position)
        if entry.operation not in (APPLY, UPDATE):
            detail = "must be `Apply` or `Update`"
            found.append(field.invalid(here.child("operation"), entry.operation, detail))
        if entry.fieldsType not in ("", FIELDS_V1):
            detail = "must be `FieldsV1`"
            found.append(field.invalid(here.child("fieldsType"), entry.fieldsType, detail))
        found += name_problems(here.child("manager"), entry.manager)
        if len(entry.subresource.encode()) > _SUBRESOURCE_LENGTH:
            found.append(field.too_long(here.child("subresource"), _SUBRESOURCE_LENGTH))
    return found


@lru_cache(maxsize=256)
def _is_plain(name: str) -> bool:
    return not name_problems(field.path(), name)


def name_problems(at: Path, name: str) -> list[FieldError]:
    """What is wrong with a manager's name: it is short, and can be printed."""
    found: list[FieldError] = []
    if len(name.encode()) > NAME_LENGTH:
        found.append(field.too_long(at, NAME_LENGTH))
    position = 0
    for character in name:
        if not character.isprintable():
            detail = f"invalid character U+{ord(character):04X} (at position {position})"
            found.append(field.invalid(at, name, detail))
        position += len(character.encode())
    return found


def is_reset(entries: list[ManagedFieldsEntry]) -> bool:
    """Whether a client asks to drop all owners: a single empty entry."""
    return len(entries) == 1 and entries[0] == ManagedFieldsEntry()


def capped(owners: Owners) -> Owners:
    """The owners with the oldest updaters of each version joined while there are too many."""
    updaters = [key for key, owner in owners.items() if not owner.applied]
    if len(updaters) <= MAX_UPDATERS:
        return owners
    owners = dict(owners)
    updaters.sort(key=lambda key: (owners[key].time or "", key.text()))
    first: dict[str, Identity] = {}
    left = len(updaters)
    for key in updaters:
        if left <= MAX_UPDATERS:
            break
        owner = owners[key]
        bucket = Identity(ANCIENT, UPDATE, owner.version)
        if owner.version not in first:
            first[owner.version] = key
            continue
        if bucket not in owners:
            owners[bucket] = owners.pop(first[owner.version])
        joined = fieldset.union(owner.fields, owners[bucket].fields)
        if key != bucket:
            del owners[key]
        left -= 1
        # The younger of the two times.
        owners[bucket] = Owner(joined, owner.version, owner.applied, owner.time)
    return owners

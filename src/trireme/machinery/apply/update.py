"""Who owns which fields after a write, and what an apply makes of an object.

In: an object before and after (or an applied configuration) as plain JSON in one version, and the
owners. Out: new owners and the new object; ``Conflicts`` when an apply meets fields of others.
Called by ``manager``. Upstream: structured-merge-diff ``merge.Updater``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trireme.machinery.apply import collect, fieldset
from trireme.machinery.apply.atom import Atom
from trireme.machinery.apply.compare import Comparison, compare
from trireme.machinery.apply.fieldset import Path, Set
from trireme.machinery.apply.managed import Identity, Owner, Owners
from trireme.machinery.apply.merge import merge, remove

# (object, apiVersion) -> the object and its atom in that version; None when it is not served.
Convert = Callable[[Any, str], "tuple[Any, Atom] | None"]


_REMEMBERED = 1024


class Conflicts(Exception):
    """An apply without force would change fields that others own."""

    def __init__(self, found: list[tuple[Identity, Path]]) -> None:
        super().__init__("conflicts")
        self.found = found


@dataclass(frozen=True, slots=True)
class Updater:
    """The rules of one kind in one version.

    ``ignored``: fields, by version, that a write never sets. ``convert`` reaches other versions.
    """

    atom: Atom
    version: str
    ignored: dict[str, Set]
    convert: Convert | None = None
    # Stored sets that were found to fit the schema.
    sound: set[bytes] = field(default_factory=set)

    def update(self, old: Any, new: Any, owners: Owners, writer: Identity, now: str) -> Owners:
        """Owners after ``writer`` changed ``old`` to ``new``; its fields are added to those it has.

        Its time changes only when it set something.
        """
        found = compare(self.atom, old, new).without(self.ignored.get(self.version, {}))
        if not found.empty:
            owners = self._others(old, new, owners, found, writer, force=True)
        set_now = fieldset.union(found.modified, found.added)
        return self._credited(owners, writer, set_now, now)

    def _credited(self, owners: Owners, writer: Identity, set_now: Set, now: str) -> Owners:
        written = fieldset.difference(set_now, STRIPPED)
        if not written:
            return owners
        before = owners.get(writer)
        if before is not None:
            if fieldset.covers(before.fields, written):
                return {**owners, writer: before._replace(version=self.version, time=now)}
            written = fieldset.union(written, before.fields)
        return {**owners, writer: Owner(written, self.version, False, now)}

    def apply(
        self, live: Any, config: Any, owners: Owners, writer: Identity, force: bool
    ) -> tuple[Any, Owners]:
        """The object and owners after ``writer`` applied ``config``; None for the object when
        nothing changes. Raises Conflicts."""
        owners = self.reconciled(live, owners)
        before = owners.get(writer)
        merged = merge(self.atom, live, config)
        named = collect.collect(self.atom, config)
        ignored = self.ignored.get(self.version)
        if ignored:
            named = fieldset.recursive_difference(named, ignored)
        time = before.time if before is not None else None
        owners = {**owners, writer: Owner(named, self.version, True, time)}
        if before is not None and before.fields:
            merged = self._pruned(merged, owners, before)
        found = compare(self.atom, live, merged).without(ignored or {})
        owners = self._others(live, merged, owners, found, writer, force=force)
        own = owners.get(writer)
        if own is not None:
            applied = fieldset.difference(own.fields, STRIPPED)
            if applied and before is not None and applied == before.fields:
                owners[writer] = before._replace(version=self.version)
            elif applied:
                owners[writer] = own.owning(applied)
            else:
                del owners[writer]
        return (None if merged == live else merged), owners

    def reconciled(self, live: Any, owners: Owners) -> Owners:
        """The owners as the schema is now; those in versions that are gone are dropped."""
        result: Owners = {}
        for key, owner in owners.items():
            if owner.raw is not None and owner.version == self.version:
                stored = bytes(owner.raw)
                if stored in self.sound:
                    result[key] = owner
                    continue
            else:
                stored = b""
            there = self._at(live, owner.version)
            if there is None:
                continue
            result[key] = now = owner.owning(collect.reconciled(owner.fields, there[1]))
            if stored and now is owner and len(self.sound) < _REMEMBERED:
                self.sound.add(stored)
        return result

    def _at(self, value: Any, version: str) -> tuple[Any, Atom] | None:
        if version == self.version:
            return value, self.atom
        return self.convert(value, version) if self.convert is not None else None

    def _others(
        self,
        old: Any,
        new: Any,
        owners: Owners,
        found: Comparison,
        writer: Identity | None,
        *,
        force: bool,
    ) -> Owners:
        """Owners without what others have lost: fields that changed, and fields that are gone."""
        differences: dict[str, Comparison | None] = {self.version: found}
        result: Owners = {}
        conflicts: list[tuple[Identity, Set]] = []
        for key, owner in owners.items():
            if key == writer and owner.applied:
                if owner.fields:
                    result[key] = owner
                continue
            if owner.version not in differences:
                differences[owner.version] = self._difference(old, new, owner.version)
            changes = differences[owner.version]
            if changes is None:
                continue
            left = owner.fields
            # An updater owns again what it lost to itself.
            taken = (
                fieldset.intersection(left, fieldset.union(changes.modified, changes.added))
                if key != writer
                else {}
            )
            if taken:
                conflicts.append((key, taken))
                left = fieldset.difference(left, taken)
            if changes.removed and fieldset.intersection(left, changes.removed):
                left = fieldset.difference(left, changes.removed)
            if left:
                result[key] = owner.owning(left)
        if conflicts and not force:
            conflicts.sort(key=lambda item: item[0].text())
            raise Conflicts(
                [(key, path) for key, taken in conflicts for path in fieldset.paths(taken)]
            )
        return result

    def _difference(self, old: Any, new: Any, version: str) -> Comparison | None:
        before, after = self._at(old, version), self._at(new, version)
        if before is None or after is None:
            return None
        found = compare(after[1], before[0], after[0])
        return found.without(self.ignored.get(version, {}))

    def _pruned(self, merged: Any, owners: Owners, before: Owner) -> Any:
        """``merged`` without what the writer applied before, applies no more, and nobody owns."""
        at = self._at(merged, before.version)
        if at is None:
            return merged
        value, atom = at
        same_version = [owner for owner in owners.values() if owner.version == before.version]
        if any(fieldset.covers(owner.fields, before.fields) for owner in same_version):
            return merged
        last = collect.with_named(before.fields, atom)
        pruned = remove(atom, value, last)
        versions = {owner.version for owner in owners.values()}
        for version in sorted(versions, key=lambda item: (item != before.version, item)):
            pruned = self._with_owned(value, pruned, before.version, version, owners)
        kept = collect.with_named(collect.collect(atom, pruned), atom)
        all_of = collect.with_named(collect.collect(atom, value), atom)
        gone = fieldset.intersection(fieldset.difference(all_of, kept), last)
        result = remove(atom, value, gone)
        if before.version == self.version or self.convert is None:
            return result
        back = self.convert(result, self.version)
        return merged if back is None else back[0]

    def _with_owned(self, merged: Any, pruned: Any, here: str, version: str, owners: Owners) -> Any:
        """``pruned`` with those fields of ``merged`` that somebody owns in ``version``."""
        if version != here:
            if self.convert is None:
                return pruned
            there, less = self.convert(merged, version), self.convert(pruned, version)
            if there is None or less is None:
                return pruned
            merged, atom = there
            pruned = less[0]
        else:
            at = self._at(merged, version)
            assert at is not None
            atom = at[1]
        owned: Set = {}
        for owner in owners.values():
            if owner.version == version:
                owned = fieldset.union(owned, owner.fields)
        kept = collect.with_named(collect.collect(atom, pruned), atom)
        kept = fieldset.union(kept, collect.with_named(owned, atom))
        all_of = collect.with_named(collect.collect(atom, merged), atom)
        result = remove(atom, merged, fieldset.difference(all_of, kept))
        if version == here or self.convert is None:
            return result
        back = self.convert(result, here)
        return result if back is None else back[0]


# What is never owned: identity, and what only the server writes.
STRIPPED = fieldset.fields(
    ("apiVersion",),
    ("kind",),
    ("metadata",),
    ("metadata", "name"),
    ("metadata", "namespace"),
    ("metadata", "creationTimestamp"),
    ("metadata", "selfLink"),
    ("metadata", "uid"),
    ("metadata", "clusterName"),
    ("metadata", "generation"),
    ("metadata", "managedFields"),
    ("metadata", "resourceVersion"),
)

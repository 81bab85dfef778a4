"""The fields of one kind at one subresource: what a write makes of managedFields.

In: objects as plain JSON without their managedFields, the entries beside them, who writes and when.
Out: new entries, and for an apply the new object. Called by the API server for every write. Raises
``ApiError``: 400 for a configuration that does not fit, 409 for conflicts. Upstream: apimachinery
``managedfields.FieldManager``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from trireme.machinery import errors
from trireme.machinery.apply import check, collect, fieldset, managed
from trireme.machinery.apply.compare import compare
from trireme.machinery.apply.fieldset import Path, Set
from trireme.machinery.apply.managed import Identity, Owners
from trireme.machinery.apply.update import STRIPPED, Conflicts, Updater
from trireme.machinery.meta import ManagedFieldsEntry
from trireme.machinery.status import StatusCause

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL: Final = "kubectl"
# The size of all annotations together.
_MAX_ANNOTATIONS: Final = 256 * 1024

Entries = list[ManagedFieldsEntry]


@dataclass(frozen=True, slots=True)
class Writer:
    """The manager that writes, and the time of the write (RFC 3339, seconds)."""

    name: str
    now: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply makes: ``value`` is None when the object stays as it is."""

    value: Any
    entries: Entries


class FieldManager:
    """``empty`` is the kind's empty object: what a creation is compared with. ``changing``: the
    schema may have changed since the entries were stored (custom resources)."""

    def __init__(
        self, updater: Updater, kind: str, subresource: str, empty: Any, *, changing: bool = False
    ) -> None:
        self.updater = updater
        self.kind = kind
        self.subresource = subresource
        self.empty = empty
        self.changing = changing

    def created(self, new: Any, given: Entries, writer: Writer) -> Entries:
        """The entries of a new object; ``given``: those that the request carries."""
        owners = {} if managed.is_reset(given) else _decoded_or_none(given) or {}
        return self._updated(self.empty, new, owners, writer)

    def made(self, fields: Set, writer: Writer) -> Entries:
        """The entries of a new object from the fields that it sets (``created.Creations``)."""
        updater = self.updater
        ignored = updater.ignored.get(updater.version)
        if ignored:
            fields = fieldset.recursive_difference(fields, ignored)
        fields = fieldset.difference(fields, STRIPPED)
        if not fields:
            return []
        who = managed.identity(writer.name, managed.UPDATE, updater.version, self.subresource)
        return managed.only(who, managed.Owner(fields, updater.version, False, writer.now))

    def updated(
        self, old: Any, new: Any, stored: Entries, given: Entries, writer: Writer
    ) -> Entries:
        """The entries after an update. A request may set them, but not through a subresource;
        an object that has none gets none."""
        owners = None
        if not self.subresource:
            if managed.is_reset(given):
                return []
            if given and given != stored:
                owners = _decoded_or_none(given)
                if owners:
                    owners = self.updater.reconciled(old, owners)
        as_stored = not owners
        if as_stored:
            if old == new:
                return stored
            owners = _decoded_or_none(stored, stored=True)
        if not owners:
            return []
        before = owners
        if self.changing and as_stored:
            owners = self.updater.reconciled(old, owners)
            if owners == before:
                owners = before
        after = self._owners(old, new, owners, writer)
        return stored if as_stored and after is before else managed.encode(after)

    def _updated(self, old: Any, new: Any, owners: Owners, writer: Writer) -> Entries:
        return managed.encode(self._owners(old, new, owners, writer))

    def _owners(self, old: Any, new: Any, owners: Owners, writer: Writer) -> Owners:
        version = self.updater.version
        who = managed.identity(writer.name, managed.UPDATE, version, self.subresource)
        return managed.capped(self.updater.update(old, new, owners, who, writer.now))

    def applied(
        self, live: Any, stored: Entries, config: dict[str, Any], writer: Writer, force: bool
    ) -> Applied:
        """The object after ``config`` was applied to ``live`` (or to ``empty``, to create one)."""
        self._check(config)
        try:
            owners = managed.decode(stored)
        except ValueError as error:
            raise errors.bad_request(f"failed to decode managed fields: {error}") from None
        try:
            return self._applied(live, owners, config, writer, force)
        except Conflicts as conflicts:
            raise _refused(conflicts) from None
        except ValueError as error:
            # An object whose lists break the rules of their own kind.
            raise errors.bad_request(f"failed to merge config: {error}") from None

    def _applied(
        self, live: Any, owners: Owners, config: Any, writer: Writer, force: bool
    ) -> Applied:
        version = self.updater.version
        if not owners:
            first = managed.identity(
                managed.BEFORE_APPLY, managed.UPDATE, version, self.subresource
            )
            owners = self.updater.update(self.empty, live, {}, first, writer.now)
        who = managed.identity(writer.name, managed.APPLY, version, self.subresource)
        try:
            value, after = self.updater.apply(live, config, owners, who, force)
        except Conflicts as conflicts:
            if writer.name != KUBECTL:
                raise
            left = self._unmanaged_conflicts(live, conflicts)
            if left:
                raise Conflicts(left) from None
            value, after = self.updater.apply(live, config, owners, who, True)
        if value is not None and who in after:
            after[who] = after[who]._replace(time=writer.now)
        if writer.name == KUBECTL:
            value = _with_last_applied(live if value is None else value, config, value)
        return Applied(value, managed.encode(after))

    def _check(self, config: dict[str, Any]) -> None:
        group_version, kind = _text(config, "apiVersion"), _text(config, "kind")
        if (group_version, kind) != (self.updater.version, self.kind):
            if group_version.count("/") > 1:
                group_version = kind = ""
            raise errors.bad_request(f"invalid object type: {_kind(group_version, kind)}")
        meta = config.get("metadata")
        if isinstance(meta, dict) and meta.get("managedFields") is not None:
            raise errors.bad_request("metadata.managedFields must be nil")
        found = check.problems(self.updater.atom, config)
        if found:
            detail = check.error_text(found)
            raise errors.bad_request(
                f"failed to create typed patch object ({described(config)}): {detail}"
            )

    def _unmanaged_conflicts(self, live: Any, conflicts: Conflicts) -> list[tuple[Identity, Path]]:
        """The conflicts over fields that ``kubectl apply`` has not set itself, client-side."""
        text = _annotations(live).get(LAST_APPLIED)
        if not text:
            return conflicts.found
        try:
            last = msgspec.json.decode(text.encode())
        except (msgspec.DecodeError, UnicodeEncodeError):
            return conflicts.found
        atom = self.updater.atom
        if not isinstance(last, dict) or last.get("apiVersion") != self.updater.version:
            return conflicts.found
        if check.problems(atom, last):
            return conflicts.found
        allowed = collect.collect(atom, last)
        found = compare(atom, last, live)
        for changed in (found.modified, found.added, found.removed):
            allowed = fieldset.difference(allowed, changed)
        return [item for item in conflicts.found if not fieldset.has(allowed, item[1])]


def without_managed(value: dict[str, Any]) -> dict[str, Any]:
    """A plain object without its managedFields; the argument is changed."""
    meta = value.get("metadata")
    if isinstance(meta, dict):
        meta.pop("managedFields", None)
    return value


def problem(entries: Entries) -> str:
    """What is wrong with entries; nothing when they can be read."""
    try:
        managed.decode(entries)
    except ValueError as error:
        return str(error)
    return ""


def excluded(version: str, *paths: tuple[str, ...]) -> dict[str, Set]:
    """``Updater.ignored`` for fields of one version."""
    return {version: fieldset.fields(*paths)}


def _decoded_or_none(entries: Entries, *, stored: bool = False) -> Owners | None:
    try:
        return managed.decode(entries, stored=stored)
    except ValueError:
        return None


def _annotations(value: Any) -> dict[str, str]:
    meta = value.get("metadata") if isinstance(value, dict) else None
    found = meta.get("annotations") if isinstance(meta, dict) else None
    return found if isinstance(found, dict) else {}


def _with_last_applied(now: Any, config: Any, value: Any) -> Any:
    """``value`` with the annotation of client-side apply brought up to date, where there is one."""
    annotations = _annotations(now)
    if not annotations.get(LAST_APPLIED):
        return value
    plain = {**config}
    if LAST_APPLIED in _annotations(config):
        mine = {k: v for k, v in _annotations(config).items() if k != LAST_APPLIED}
        plain["metadata"] = {**config["metadata"], "annotations": mine}
    text = str(msgspec.json.encode(plain, order="sorted"), "utf-8") + "\n"
    # Go's encoder keeps what browsers could take for markup out of its texts.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    changed = {**annotations, LAST_APPLIED: text}
    if sum(len(k.encode()) + len(v.encode()) for k, v in changed.items()) > _MAX_ANNOTATIONS:
        del changed[LAST_APPLIED]
    if changed == annotations:
        return value
    return {**now, "metadata": {**now["metadata"], "annotations": changed}}


def _refused(conflicts: Conflicts) -> errors.ApiError:
    """409, with a cause for each field."""
    found = [(who.described(), fieldset.text(path)) for who, path in conflicts.found]
    causes = [
        StatusCause(reason="FieldManagerConflict", message=f"conflict with {who}", field=path)
        for who, path in found
    ]
    if len(found) == 1:
        [(who, path)] = found
        return errors.apply_conflict(
            causes, f"Apply failed with 1 conflict: conflict with {who}: {path}"
        )
    lines: dict[str, list[str]] = {}
    for who, path in found:
        lines.setdefault(f"conflicts with {who}:", []).append(f"- {path}")
    text = "\n".join(line for who, paths in lines.items() for line in (who, *paths))
    return errors.apply_conflict(causes, f"Apply failed with {len(found)} conflicts: {text}")


def described(config: dict[str, Any]) -> str:
    """What a configuration is for: its namespace and name, and its kind."""
    meta = config.get("metadata")
    where = meta if isinstance(meta, dict) else {}
    kind = _kind(_text(config, "apiVersion"), _text(config, "kind"))
    return f"{_text(where, 'namespace')}/{_text(where, 'name')}; {kind}"


def _kind(group_version: str, kind: str) -> str:
    group, _, version = group_version.rpartition("/")
    return f"{group}/{version}, Kind={kind}"


def _text(value: dict[str, Any], key: str) -> str:
    found = value.get(key)
    return found if isinstance(found, str) else ""

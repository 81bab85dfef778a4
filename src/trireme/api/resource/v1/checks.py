"""The small checks that the kinds of this group share.

Called by: the rules of claims, classes, slices and taint rules. Upstream:
pkg/apis/resource/validation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from trireme.api import rules
from trireme.api.core.v1.pod.rules import storage
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path

T = TypeVar("T")
MOST_CONFIGS: Final = 32
_LONGEST_POOL: Final = 253
_LONGEST_IDENTIFIER: Final = 32
_MOST_BINDING_CONDITIONS: Final = 4
_HEX: Final = re.compile(r"[0-9a-fA-F]*\Z").match
_UUID: Final = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z"
).match

driver = storage.driver_name


def each(
    errs: Errors,
    at: Path,
    items: Sequence[T],
    most: int,
    check: Callable[[Errors, Path, T], None],
    key: Callable[[T], Hashable] | None = None,
) -> None:
    """Every item, when there are not too many (``most`` < 0: any number); ``key``: no twice."""
    if 0 <= most < len(items):
        errs.append(field.too_many(at, len(items), most))
        return
    for position, item in enumerate(items):
        check(errs, at.index(position), item)
    if key is None:
        return
    used: set[Hashable] = set()
    for position, item in enumerate(items):
        found = key(item)
        if found in used:
            errs.append(field.duplicate(at.index(position), found))
        used.add(found)


def each_entry(
    errs: Errors,
    at: Path,
    items: Mapping[str, T],
    most: int,
    longest_key: int,
    check_key: Callable[[Errors, Path, str], None],
    check: Callable[[Errors, Path, T], None],
) -> None:
    """Every key and value of a map."""
    if 0 <= most < len(items):
        errs.append(field.too_many(at, len(items), most))
        return
    for key, item in items.items():
        check_key(errs, at, key)
        check(errs, at.key(_short(key, longest_key)), item)


def _short(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    rest = most - 3
    return f"{text[: (rest + 1) // 2]}...{text[len(text) - rest // 2 :]}"


def label(errs: Errors, at: Path, name: str) -> None:
    """A DNS label."""
    rules.add(errs, at, name, names.is_dns1123_label(name))


def label_key(errs: Errors, at: Path, name: str) -> None:
    """The key of a label."""
    rules.add(errs, at, name, names.is_qualified_name(name))


def pool(errs: Errors, at: Path, name: str) -> None:
    """Subdomains with slashes between."""
    if not name:
        errs.append(field.required(at))
        return
    if len(name.encode()) > _LONGEST_POOL:
        errs.append(field.too_long(at, _LONGEST_POOL))
    for part in name.split("/"):
        rules.add(errs, at, part, names.is_dns1123_subdomain(part))


def qualified_name(errs: Errors, at: Path, name: str) -> None:
    """An identifier, perhaps with a domain before it."""
    parts = name.split("/")
    if len(parts) == 1:
        _identifier(errs, at, name)
    elif len(parts) == 2:  # more slashes are let through, as upstream has it
        if not parts[0]:
            errs.append(field.invalid(at, "", "the domain must not be empty"))
        else:
            driver(errs, at, parts[0])
        if not parts[1]:
            errs.append(field.invalid(at, "", "the name must not be empty"))
        else:
            _identifier(errs, at, parts[1])


def fully_qualified_name(errs: Errors, at: Path, name: str) -> None:
    """An identifier with a domain before it."""
    qualified_name(errs, at, name)
    if "/" not in name:
        detail = "a fully qualified name must be a domain and a name separated by a slash"
        errs.append(field.invalid(at, name, detail))


def _identifier(errs: Errors, at: Path, name: str) -> None:
    if len(name.encode()) > _LONGEST_IDENTIFIER:
        errs.append(field.too_long(at, _LONGEST_IDENTIFIER))
    rules.add(errs, at, name, names.is_c_identifier(name))


def uid(errs: Errors, at: Path, text: str) -> None:
    """A UUID in its usual form."""
    wrong = _uuid_error(text)
    if wrong:
        errs.append(field.invalid(at, text, f"error validating uid: {wrong}"))
    elif len(text) != 36 or text != text.lower():
        detail = (
            "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` "
            "with lowercase hexadecimal characters"
        )
        errs.append(field.invalid(at, text, detail))


def _uuid_error(text: str) -> str:
    size, bare = len(text.encode()), text
    if size == 32:
        return "" if _HEX(text) else "invalid UUID format"
    if size == 45:
        if text[:9].lower() != "urn:uuid:":
            return f'invalid urn prefix: "{text[:9]}"'
        bare = text[9:]
    elif size == 38:
        if text[0] != "{" or text[-1] != "}":
            return "invalid bracketed UUID format"
        bare = text[1:-1]
    elif size != 36:
        return f"invalid UUID length: {size}"
    return "" if _UUID(bare) else "invalid UUID format"


def json_object(errs: Errors, at: Path, value: Any, size: Callable[[Any], int], most: int) -> None:
    """A JSON object of at most ``most`` bytes."""
    if value is None:
        errs.append(field.required(at))
    elif size(value) > most:
        errs.append(field.too_long(at, most))
    elif not isinstance(value, dict):
        errs.append(field.invalid(at, "<value omitted>", "must be a valid JSON object"))


def binding_conditions(errs: Errors, at: Path, wait: list[str], fail: list[str]) -> None:
    """Conditions to wait for and conditions that end the wait: both or none, and different."""
    lists = (("bindingConditions", wait), ("bindingFailureConditions", fail))
    for name, items in lists:
        each(errs, at.child(name), items, _MOST_BINDING_CONDITIONS, label_key)
    _twice(errs, at.child("bindingConditions"), wait, ())
    _twice(errs, at.child("bindingFailureConditions"), fail, wait)
    if fail and not wait:
        detail = "bindingConditions are required to use bindingFailureConditions"
        errs.append(field.invalid(at.child("bindingConditions"), None, detail))
    if wait and not fail:
        detail = "bindingFailureConditions are required to use bindingConditions"
        errs.append(field.invalid(at.child("bindingFailureConditions"), None, detail))


def _twice(errs: Errors, at: Path, items: list[str], others: Iterable[str]) -> None:
    used: set[str] = set()
    for position, item in enumerate(items):
        if item in used:
            errs.append(field.duplicate(at.index(position), item))
        used.add(item)
        if item in others:
            detail = "bindingFailureConditions must not overlap with bindingConditions"
            errs.append(field.invalid(at.index(position), item, detail))

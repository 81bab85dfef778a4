"""Field paths, and the errors that validation reports about a field.

In: attribute names, indices and keys as a rule walks an object. Out: ``FieldError`` values, which
``errors.invalid`` turns into a 422 Status. Called by: every ``validate`` in ``api/`` and by
admission. Rules: apimachinery ``util/validation/field``.

    spec = field.path("spec")
    field.invalid(spec.child("replicas"), -1, "must be greater than or equal to 0")
    # spec.replicas: Invalid value: -1: must be greater than or equal to 0
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from trireme.machinery import gotext
from trireme.machinery.internal import to_internal

# The machine-readable types; they are also the ``reason`` of a Status cause.
NOT_FOUND: Final = "FieldValueNotFound"
REQUIRED: Final = "FieldValueRequired"
DUPLICATE: Final = "FieldValueDuplicate"
INVALID: Final = "FieldValueInvalid"
NOT_SUPPORTED: Final = "FieldValueNotSupported"
FORBIDDEN: Final = "FieldValueForbidden"
TOO_LONG: Final = "FieldValueTooLong"
TOO_SHORT: Final = "FieldValueTooShort"
TOO_MANY: Final = "FieldValueTooMany"
TOO_FEW: Final = "FieldValueTooFew"
TYPE_INVALID: Final = "FieldValueTypeInvalid"
INTERNAL: Final = "InternalError"

_TITLES: Final = {
    NOT_FOUND: "Not found",
    REQUIRED: "Required value",
    DUPLICATE: "Duplicate value",
    INVALID: "Invalid value",
    NOT_SUPPORTED: "Unsupported value",
    FORBIDDEN: "Forbidden",
    TOO_LONG: "Too long",
    TOO_SHORT: "Too short",
    TOO_MANY: "Too many",
    TOO_FEW: "Too few",
    TYPE_INVALID: "Invalid value",
    INTERNAL: "Internal error",
}
_WITHOUT_VALUE: Final = frozenset((REQUIRED, FORBIDDEN, TOO_LONG, TOO_SHORT, INTERNAL))


class Path(msgspec.Struct, frozen=True, gc=False, eq=False):
    """Where a value stands in its object. Immutable; the text is made only when an error needs it,
    as a write that is right makes dozens of paths and no text.

    ``child`` adds field names, ``index`` a list position, ``key`` a map key.
    """

    # Field names, a position, or the text of any other step.
    step: tuple[str, ...] | int | str
    parent: Path | None = None

    def child(self, *names: str) -> Path:
        return Path(names, self)

    def index(self, position: int) -> Path:
        return Path(position, self)

    def key(self, key: str) -> Path:
        return Path(f"[{key}]", self)

    def __str__(self) -> str:
        steps: list[str] = []
        here: Path | None = self
        while here is not None:
            step = here.step
            if isinstance(step, int):
                step = f"[{step}]"
            elif isinstance(step, tuple):
                step = "".join([f".{name}" for name in step])
            steps.append(step)
            here = here.parent
        steps.reverse()
        text = "".join(steps)
        return text[1:] if text.startswith(".") else text

    def __repr__(self) -> str:
        return f"Path({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Path) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def path(*names: str) -> Path:
    """A path from the object's root: ``path("spec", "replicas")``; no names is the root itself."""
    if not names:
        return Path("")
    root = Path(names[0])
    return root.child(*names[1:]) if len(names) > 1 else root


class Omitted(msgspec.Struct, frozen=True):
    """Stands for a bad value that the error does not show."""


OMITTED: Final = Omitted()


class FieldError(msgspec.Struct, frozen=True):
    """One error of one field (``field.Error`` upstream). ``type`` is one of the constants above."""

    type: str
    field: str
    bad_value: Any = ""
    detail: str = ""

    def body(self) -> str:
        """The message without the field's name; a Status cause carries it."""
        text = _TITLES[self.type]
        if self.type not in _WITHOUT_VALUE and not isinstance(self.bad_value, Omitted):
            text = f"{text}: {gotext.value(to_internal(self.bad_value))}"
        return f"{text}: {self.detail}" if self.detail else text

    def __str__(self) -> str:
        return f"{self.field}: {self.body()}"


def required(at: Path, detail: str = "") -> FieldError:
    """A value that must be there is not."""
    return FieldError(REQUIRED, str(at), "", detail)


def invalid(at: Path, value: Any, detail: str) -> FieldError:
    """A malformed value: wrong format, out of bounds."""
    return FieldError(INVALID, str(at), value, detail)


def type_invalid(at: Path, value: Any, detail: str) -> FieldError:
    """A value of another type than the schema's."""
    return FieldError(TYPE_INVALID, str(at), value, detail)


def not_supported(at: Path, value: Any, supported: Iterable[str]) -> FieldError:
    """A value outside an enumeration. The message lists ``supported`` in the order given."""
    names = ", ".join(gotext.quote(name) for name in supported)
    return FieldError(NOT_SUPPORTED, str(at), value, f"supported values: {names}" if names else "")


def forbidden(at: Path, detail: str) -> FieldError:
    """A value that is well formed but not allowed here and now."""
    return FieldError(FORBIDDEN, str(at), "", detail)


def duplicate(at: Path, value: Any) -> FieldError:
    """A value that must be unique and is not."""
    return FieldError(DUPLICATE, str(at), value)


def not_found(at: Path, value: Any) -> FieldError:
    """A reference to something that is not there."""
    return FieldError(NOT_FOUND, str(at), value)


def too_long(at: Path, maximum: int) -> FieldError:
    """A text of more than ``maximum`` bytes (negative: the limit is not named)."""
    detail = f"may not be more than {_count(maximum, 'byte')}" if maximum >= 0 else _LONG
    return FieldError(TOO_LONG, str(at), "<value omitted>", detail)


def too_many(at: Path, actual: int, maximum: int) -> FieldError:
    """A list of ``actual`` items (negative: not named) that may hold ``maximum``."""
    detail = f"must have at most {_count(maximum, 'item')}" if maximum >= 0 else _MANY
    return FieldError(TOO_MANY, str(at), actual if actual >= 0 else OMITTED, detail)


def internal(at: Path, detail: str) -> FieldError:
    """An error on our side, met while looking at the field."""
    return FieldError(INTERNAL, str(at), "", detail)


def join(errs: Iterable[object]) -> str:
    """The texts of ``errs`` as one: duplicates dropped, in brackets when more than one."""
    texts = list(dict.fromkeys(str(error) for error in errs))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]" if texts else ""


_LONG: Final = "value is too long"
_MANY: Final = "has too many items"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

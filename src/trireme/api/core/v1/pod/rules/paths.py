"""Paths inside a volume or on a host, as pod fields name them.

In: the path text. Out: errors on the list given. Upstream: pkg/apis/core/validation.
"""

from __future__ import annotations

from trireme.api.rules import Errors
from trireme.machinery import field
from trireme.machinery.field import Path

MODE_TEXT = "must be a number between 0 and 0777 (octal), both inclusive"


def no_backsteps(errs: Errors, at: Path, path: str) -> None:
    """No ``..`` anywhere."""
    if ".." in path and ".." in path.split("/"):
        errs.append(field.invalid(at, path, "must not contain '..'"))


def descending(errs: Errors, at: Path, path: str) -> None:
    """Relative, without ``..``."""
    if path.startswith("/"):
        errs.append(field.invalid(at, path, "must be a relative path"))
    no_backsteps(errs, at, path)


def not_reserved(errs: Errors, at: Path, path: str) -> None:
    """Descending, and not of the names that atomic writes use (``..data``)."""
    descending(errs, at, path)
    if path.startswith("..") and not path.startswith("../"):
        errs.append(field.invalid(at, path, "must not start with '..'"))


def mode(errs: Errors, parent: Path, name: str, value: int | None) -> None:
    """A file mode's permission bits."""
    if value is not None and not 0 <= value <= 0o777:
        errs.append(field.invalid(parent.child(name), value, MODE_TEXT))

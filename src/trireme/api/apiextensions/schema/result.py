"""What validating one value against one schema found.

Each error is kept once. ``matched`` counts the checks that were made: of several alternatives
that all fail, the one that got furthest is the one that is reported. Upstream: kube-openapi
validate.Result and its mapping to field errors in apiextensions.
"""

from __future__ import annotations

from trireme.machinery.field import FieldError

NO_FIELD = "<nil>"


class Result:
    """Errors by their text, and how far the checks came."""

    __slots__ = ("errors", "matched")

    def __init__(self) -> None:
        self.errors: dict[str, FieldError] | None = None
        self.matched = 0

    def add(self, text: str, error: FieldError) -> None:
        if self.errors is None:
            self.errors = {text: error}
        else:
            self.errors.setdefault(text, error)

    def merge(self, other: Result) -> None:
        self.matched += other.matched
        if other.errors:
            if self.errors is None:
                self.errors = dict(other.errors)
            else:
                for text, error in other.errors.items():
                    self.errors.setdefault(text, error)

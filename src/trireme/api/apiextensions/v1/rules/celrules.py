"""The CEL rules of a schema, judged when the definition is written.

In: a schema and where it stands. Out: errors of expressions that do not compile or may cost too
much. Upstream: validation/cel_validation.go.
"""

from __future__ import annotations

from typing import Any

from trireme.api.apiextensions.schema.structural import Schema, Structural
from trireme.api.apiextensions.v1.rules.options import Options
from trireme.api.rules import Errors
from trireme.machinery import field
from trireme.machinery.field import Path


class Context:
    """What is known of the places of a schema's values."""

    def __init__(self, schema: Schema, options: Options) -> None:
        self._schema, self._options = schema, options

    @staticmethod
    def root(schema: Schema, options: Options, version: str) -> Context:
        return Context(schema, options)

    def additional(self) -> Context:
        return Context(self._schema["additionalProperties"], self._options)

    def property(self, name: str) -> Context:
        return Context(self._schema["properties"][name], self._options)

    def items(self) -> Context:
        return Context(self._schema["items"], self._options)

    def judge(self, at: Path, uncorrelated: Path | None) -> Errors:
        """Errors of this schema's own rules."""
        why = "CEL rules are not served by this API server"
        return [field.forbidden(at.child("x-kubernetes-validations"), why)]

    def total_errors(self, at: Path) -> Errors:
        return []


def judge_default(node: Structural, is_root: bool, value: Any, at: Path) -> Errors:
    """Errors of a default by the rules of its schema."""
    return []

"""Whether a schema's own defaults are valid: pruned, of the right type, within its bounds.

In: a ``Structural`` tree. Out: errors at each ``default``. Rules: custom-resource-definitions/
#defaulting; upstream schema/defaulting/validation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trireme.api.apiextensions.schema import metadata, prune
from trireme.api.apiextensions.schema.default import copy
from trireme.api.apiextensions.schema.openapi import Checker, same
from trireme.api.apiextensions.schema.structural import META_FIELDS, Structural
from trireme.machinery import field
from trireme.machinery.field import FieldError, Path

# Puts a value where it stands inside its resource.
Surround = Callable[[Any], Any]
# Evaluates the CEL rules of a node on a default: (node, is root, value, at) -> errors.
Rules = Callable[[Structural, bool, Any, Path], list[FieldError]]


def no_rules(_node: Structural, _root: bool, _value: Any, _at: Path) -> list[FieldError]:
    return []


def validate(
    root: Structural, at: Path, *, must_be_pruned: bool, rules: Rules = no_rules
) -> list[FieldError]:
    """Errors in the defaults at and below the root of a resource."""
    errs: list[FieldError] = []
    if root.has_defaults:
        _Walk(errs, must_be_pruned, rules).node(root, root, at, _resource, False)
    return errs


def _resource(value: Any) -> Any:
    resource = value if isinstance(value, dict) else {}
    resource.setdefault("kind", "Validation")
    resource.setdefault("apiVersion", "validation/v1")
    return resource


class _Walk:
    def __init__(self, errs: list[FieldError], must_be_pruned: bool, rules: Rules) -> None:
        self._errs, self._must_be_pruned, self._rules = errs, must_be_pruned, rules

    def node(
        self, node: Structural, root: Structural, at: Path, surround: Surround, in_meta: bool
    ) -> None:
        if not node.has_defaults:
            return
        if node.embedded:
            in_meta, surround, root = False, _resource, node
        if node.default is not None:
            where = at.child("default")
            if in_meta:
                self._in_metadata(node, root, where, surround)
            else:
                self._elsewhere(node, node is root, where)
        if node.items is not None:

            def one(value: Any) -> Any:
                return surround([value])

            self.node(node.items, root, at.child("items"), one, in_meta)
        for name, item in node.properties.items():

            def inside(value: Any, name: str = name) -> Any:
                return surround({name: value})

            below = in_meta or (node.embedded and name in META_FIELDS)
            self.node(item, root, at.child("properties").key(name), inside, below)

    def _in_metadata(
        self, node: Structural, root: Structural, at: Path, surround: Surround
    ) -> None:
        """A part of metadata is validated like the whole."""
        whole = surround(copy(node.default))
        try:
            metadata.coerce(whole, root, lenient=False)
        except metadata.BadMetadata as error:
            detail = f"must result in valid metadata: {error.error}"
            self._errs.append(field.invalid(at, node.default, detail))
            return
        wrong = metadata.validate(whole, root)
        if wrong:
            detail = f"must result in valid metadata: {field.join(wrong)}"
            self._errs.append(field.invalid(at, node.default, detail))
            return
        self._value(node, False, at)

    def _elsewhere(self, node: Structural, is_root: bool, at: Path) -> None:
        if self._must_be_pruned:
            pruned = copy(node.default)
            prune.prune(pruned, node)
            if not same(pruned, node.default):
                self._errs.append(field.invalid(at, node.default, "must not have unknown fields"))
        coerced = copy(node.default)
        try:
            metadata.coerce(coerced, node, lenient=False, at=at)
        except metadata.BadMetadata as error:
            self._errs.append(error.error)
            return
        wrong = metadata.validate(coerced, node, at)
        if wrong:
            self._errs += wrong
            return
        self._value(node, is_root, at)

    def _value(self, node: Structural, is_root: bool, at: Path) -> None:
        wrong = Checker(node.schema, structural=True).validate(node.default, at)
        self._errs += wrong or self._rules(node, is_root, node.default, at)


def are_pruned(root: Structural) -> bool:
    """Whether no default has fields that its schema does not name."""
    if root.default is not None:
        pruned = copy(root.default)
        prune.prune(pruned, root)
        if not same(pruned, root.default):
            return False
    return all(are_pruned(item) for item in root.children() if item.has_defaults)

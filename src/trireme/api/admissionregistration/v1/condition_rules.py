"""Match conditions and variables: named expressions.

In: the conditions of a webhook or policy. Out: errors added to a list. Called by: the rules of
webhook configurations and policies. Upstream: pkg/apis/admissionregistration/validation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from trireme.api import rules
from trireme.api.admissionregistration.v1 import expressions
from trireme.api.admissionregistration.v1.expressions import Compiler
from trireme.api.admissionregistration.v1.matching import MatchCondition, Variable
from trireme.api.rules import Errors
from trireme.expr.cel import types as t
from trireme.machinery import field, names
from trireme.machinery.field import Path

_MOST_CONDITIONS: Final = 64
_IDENTIFIER: Final = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII).fullmatch
_RESERVED: Final = frozenset(
    word
    for words in (
        "true false null in as break const continue else for function if import let loop",
        "package namespace return var void while",
    )
    for word in words.split()
)
# What Go's strings.TrimSpace takes away.
BLANKS: Final = "\t\n\v\f\r \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def conditions(
    errs: Errors, at: Path, items: Sequence[MatchCondition], params: bool = False
) -> None:
    """All conditions of one webhook or policy; ``params``: they may use parameters."""
    if len(items) > _MOST_CONDITIONS:
        errs.append(field.too_many(at, len(items), _MOST_CONDITIONS))
    used: set[str] = set()
    compiler = Compiler(params, variables=False)
    for position, item in enumerate(items):
        here = at.index(position)
        text = item.expression.strip(BLANKS)
        if not text:
            errs.append(field.required(here.child("expression")))
        else:
            expressions.check(errs, here.child("expression"), compiler, text, (t.BOOL,))
        rules.required_syntax(errs, here, "name", item.name, names.is_qualified_name)
        if item.name in used:
            errs.append(field.duplicate(here.child("name"), item.name))
        if item.name:
            used.add(item.name)


def variable(errs: Errors, at: Path, compiler: Compiler, item: Variable) -> None:
    """A variable; what follows it may use it."""
    if not item.name.strip(BLANKS):
        errs.append(field.required(at.child("name"), "name is not specified"))
    elif item.name in _RESERVED or not _IDENTIFIER(item.name):
        errs.append(field.invalid(at.child("name"), item.name, "must be a valid CEL identifier"))
    if not item.expression.strip(BLANKS):
        errs.append(field.required(at.child("expression"), "expression is not specified"))
        return
    try:
        compiler.variable(item.name, item.expression)
    except expressions.Refused as error:
        errs.append(error.of(at.child("expression"), item.expression))

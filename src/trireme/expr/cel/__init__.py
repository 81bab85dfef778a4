"""The Common Expression Language as Kubernetes uses it.

    decl = schema_type(schema, root=True)              # DeclType | None: None cannot be seen
    env = Environment({"self": decl, "oldSelf": decl}) # libraries of version (1, 36)
    program = env.compile("self.spec.replicas <= 10")  # CelError: all issues, with line and caret
    program.type.kind == "bool"                        # the type of the value
    "oldSelf" in program.references                    # the variables that it uses
    program.estimate()                                 # Range(min, max), by the sizes in the schema
    value, cost = program.evaluate({"self": obj, "oldSelf": old})   # EvalError, with .cost

Values are plain JSON values; nothing is converted but where a schema says that a string is a time,
a number a double, or a list a set. An optional ``oldSelf`` is declared as
``types.optional_of(decl.type)`` and bound to ``Optional(old)`` or ``NONE``.

Users: apiextensions (``x-kubernetes-validations``); admission policies and match conditions, device
selectors, authentication and authorization configuration. Pure: no clock, no I/O but time zones.

Read first: ``environment`` (the stages in order), then ``checker``, ``compiler``, ``estimate``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# At once: the module's own name is that of the function.
from .escape import escape, unescape

if TYPE_CHECKING:
    from .environment import (
        MATCH_CONDITIONS_BUDGET,
        MAX_MESSAGE_BYTES,
        PER_CALL_LIMIT,
        RUNTIME_COST_BUDGET,
        STATIC_COST_LIMIT,
        STATIC_CRD_COST_LIMIT,
        Environment,
        Program,
    )
    from .errors import CelError, CostLimitExceeded, EvalError
    from .schema import DeclType, schema_type, with_meta
    from .sizes import Range
    from .values import NONE, Duration, Optional, Timestamp, Uint

__all__ = [
    "MATCH_CONDITIONS_BUDGET",
    "MAX_MESSAGE_BYTES",
    "NONE",
    "PER_CALL_LIMIT",
    "RUNTIME_COST_BUDGET",
    "STATIC_COST_LIMIT",
    "STATIC_CRD_COST_LIMIT",
    "CelError",
    "CostLimitExceeded",
    "DeclType",
    "Duration",
    "Environment",
    "EvalError",
    "Optional",
    "Program",
    "Range",
    "Timestamp",
    "Uint",
    "escape",
    "schema_type",
    "unescape",
    "with_meta",
]

# Imported at the first use of a name: whoever only may need an expression starts without.
_HOMES = {
    name: module
    for module, names in {
        "environment": (
            "MATCH_CONDITIONS_BUDGET",
            "MAX_MESSAGE_BYTES",
            "PER_CALL_LIMIT",
            "RUNTIME_COST_BUDGET",
            "STATIC_COST_LIMIT",
            "STATIC_CRD_COST_LIMIT",
            "Environment",
            "Program",
        ),
        "errors": (
            "CelError",
            "CostLimitExceeded",
            "EvalError",
        ),
        "escape": (
            "escape",
            "unescape",
        ),
        "schema": (
            "DeclType",
            "schema_type",
            "with_meta",
        ),
        "sizes": ("Range",),
        "values": (
            "NONE",
            "Duration",
            "Optional",
            "Timestamp",
            "Uint",
        ),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    return value

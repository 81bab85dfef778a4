"""The Common Expression Language as Kubernetes uses it.

    decl = schema_type(schema, root=True)              # DeclType | None: None: not accessible
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
from typing import Any

# At once: the module's own name is that of the function.
from .escape import escape as escape
from .escape import unescape as unescape

# Imported at the first use of a name: a process that uses no expressions starts without them. For
# type checkers the stub beside this file says the same.
_HOMES = {
    "MATCH_CONDITIONS_BUDGET": "environment",
    "MAX_MESSAGE_BYTES": "environment",
    "PER_CALL_LIMIT": "environment",
    "RUNTIME_COST_BUDGET": "environment",
    "STATIC_COST_LIMIT": "environment",
    "STATIC_CRD_COST_LIMIT": "environment",
    "Environment": "environment",
    "Program": "environment",
    "CelError": "errors",
    "CostLimitExceeded": "errors",
    "EvalError": "errors",
    "DeclType": "schema",
    "schema_type": "schema",
    "with_meta": "schema",
    "Range": "sizes",
    "NONE": "values",
    "Duration": "values",
    "Optional": "values",
    "Timestamp": "values",
    "Uint": "values",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    return value

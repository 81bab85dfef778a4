"""What a test waits for: the words of ``kubectl wait --for``, and functions as a report names them.

In: text or a function. Out: a predicate of an object, or a line. Pure. Rules:
https://kubernetes.io/docs/reference/kubectl/generated/kubectl_wait/.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from trireme.expr import jsonpath
from trireme.machinery.codec import json


def DELETED(obj: Any) -> bool:
    """``delete``: no object meets it; that there is none does."""
    return False


def parse(text: str) -> Callable[[Any], bool]:
    """The predicate of ``--for=text``. ValueError."""
    word, _, rest = text.partition("=")
    if text == "delete":
        return DELETED
    if text == "create":
        return lambda obj: True
    if word == "condition" and rest:
        kind, _, status = rest.partition("=")
        return lambda obj: _has(obj, kind, status or "True")
    if word == "jsonpath" and rest:
        return _of_path(rest)
    raise ValueError(
        f"{text!r}: not condition=<type>[=<status>], jsonpath={{...}}[=<value>], create or delete"
    )


def asserting(condition: Callable[[], Any]) -> Callable[[], Any]:
    """The condition as one whose None is true, unless it is a lambda, which cannot assert."""
    if getattr(condition, "__name__", "<lambda>") == "<lambda>":
        return condition
    if inspect.iscoroutinefunction(condition):

        async def met_later() -> Any:
            value = await condition()
            return True if value is None else value

        return met_later

    def met() -> Any:
        value = condition()
        return True if value is None else value

    return met


def describe(condition: Callable[..., Any]) -> str:
    """The source of a lambda, the name of another function."""
    name = getattr(condition, "__qualname__", type(condition).__name__)
    if "<lambda>" not in name:
        return str(name).rpartition("<locals>.")[2]
    try:
        lines, _ = inspect.getsourcelines(condition)
    except (OSError, TypeError):
        return "a lambda"
    return " ".join(line.strip() for line in lines)


def _has(obj: Any, kind: str, status: str) -> bool:
    plain = _plain(obj)
    found = (plain.get("status") or {}).get("conditions") or []
    if not any(c.get("type") == kind and c.get("status") == status for c in found):
        return False
    # As kubectl: of an older generation it says nothing.
    generation = plain["metadata"].get("generation", 0)
    return bool((plain["status"].get("observedGeneration", generation)) >= generation)


def _of_path(text: str) -> Callable[[Any], bool]:
    path, brace, expected = text.partition("}=")
    found = jsonpath.parse(path + "}" if brace else text)

    def met(obj: Any) -> bool:
        values = found.find(_plain(obj))
        return bool(values) and (not brace or str(values[0]) == expected)

    return met


def _plain(obj: Any) -> Mapping[str, Any]:
    plain: Mapping[str, Any] = obj if isinstance(obj, Mapping) else json.to_plain(obj)
    return plain

"""The OpenAPI of aggregated API servers put beside our own. Pure.

In: what those servers said of their versions, and our definitions. Out: the index of the v3
documents with theirs, and the operations and definitions to add to the v2 document. Definitions
that are equal are one; of two that differ the later is renamed, as NAME_v2. Upstream:
kube-openapi ``aggregator``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from trireme.apiserver.aggregate.documents import references
from trireme.apiserver.served import RemoteVersion, Swagger

_REF = "#/definitions/"


def documents(remote: Iterable[RemoteVersion], own: Iterable[str]) -> dict[str, RemoteVersion]:
    """The paths of v3 documents that other servers have and this one has not, with who has each."""
    found: dict[str, RemoteVersion] = {}
    for each in remote:
        for path in each.openapi:
            found.setdefault(path, each)
    for path in own:
        # A group's own document is ours; of a version it is that of the server that serves it.
        if path.count("/") < 2:
            found.pop(path, None)
    return found


def addition(
    remote: Iterable[RemoteVersion], own: Callable[[str], dict[str, Any] | None]
) -> Swagger:
    """What v2 documents of other servers add to ours; ``own`` is our definition of a name."""
    whole = Swagger({}, {})

    def known(name: str) -> dict[str, Any] | None:
        mine = own(name)
        return whole.definitions.get(name) if mine is None else mine

    for each in remote:
        paths, definitions = each.swagger
        names = _names(definitions, known)
        for name, schema in definitions.items():
            new = names.get(name, name)
            if known(new) is None:
                whole.definitions[new] = _renamed(schema, names)
        for path, item in paths.items():
            whole.paths.setdefault(path, _renamed(item, names))
    return whole


def _names(
    definitions: dict[str, Any], known: Callable[[str], dict[str, Any] | None]
) -> dict[str, str]:
    """New names of definitions that differ from those that are there. One whose parts are renamed
    is another one, too."""
    renamed: dict[str, str] = {}
    again = True
    while again:
        again = False
        for name, schema in definitions.items():
            if name in renamed:
                continue
            there = known(name)
            if there is None:
                continue
            if there != schema or any(ref in renamed for ref in references(schema)):
                renamed[name] = _free(name, schema, known)
                again = True
    return renamed


def _free(name: str, schema: dict[str, Any], known: Callable[[str], dict[str, Any] | None]) -> str:
    number = 2
    while known(f"{name}_v{number}") not in (None, schema):
        number += 1
    return f"{name}_v{number}"


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if not names:
        return value
    if isinstance(value, dict):
        made = {key: _renamed(below, names) for key, below in value.items()}
        ref = made.get("$ref")
        if isinstance(ref, str) and ref.startswith(_REF):
            name = ref[len(_REF) :]
            made["$ref"] = _REF + names.get(name, name)
        return made
    if isinstance(value, list):
        return [_renamed(below, names) for below in value]
    return value

"""Runs a kind's rules on a manifest as the API server does, without a server.

In: a ``Resource`` and manifests as plain dicts. Out: typed objects, and error texts. Called by:
tests of kinds. ``changed`` makes one manifest from another:
``changed(POD, {"spec.containers.0.name": "B", "spec.nodeName": REMOVED})``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trireme.api import metadata
from trireme.machinery.resource import Resource
from trireme.machinery.schema import decode, normalise

REMOVED: Final = object()


def changed(manifest: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with other values at some dotted paths; ``\\.`` is a dot within a key."""
    result: dict[str, Any] = copy.deepcopy(dict(manifest))
    for path, value in changes.items():
        steps = [step.replace("\0", ".") for step in path.replace("\\.", "\0").split(".")]
        here: Any = result
        for step in steps[:-1]:
            here = here[int(step)] if isinstance(here, list) else here.setdefault(step, {})
        last: Any = int(steps[-1]) if isinstance(here, list) else steps[-1]
        if value is REMOVED:
            del here[last]
        elif isinstance(here, list) and last == len(here):
            here.append(copy.deepcopy(value))
        else:
            here[last] = copy.deepcopy(value)
    return result


def load(resource: Resource, manifest: Mapping[str, Any]) -> Any:
    """The typed, defaulted object. Raises ``decode.DecodeError``."""
    obj: Any
    obj, _ = decode.decode(msgspec.json.encode(manifest), resource.type, "Strict")
    normalise.normalise(obj)
    resource.defaults(obj)
    return obj


def made(resource: Resource, manifest: Mapping[str, Any]) -> Any:
    """The object as a create would store it, if it is good."""
    obj = load(resource, manifest)
    obj.metadata.generation = 1 if resource.generation is not None else 0
    if resource.has_status and not resource.status_on_create:
        obj.status = type(obj.status)()
    resource.prepare_create(obj)
    return obj


def create(resource: Resource, manifest: Mapping[str, Any]) -> list[str]:
    """The errors of a create."""
    obj = made(resource, manifest)
    found = metadata.validate_create(resource, obj.metadata) + resource.validate(obj)
    return [str(error) for error in found]


def update(
    resource: Resource, new: Mapping[str, Any], old: Mapping[str, Any], subresource: str = ""
) -> list[str]:
    """The errors of an update of what ``create`` made of ``old``."""
    was, now = made(resource, old), load(resource, new)
    now.metadata.generation = was.metadata.generation
    if subresource == "status":
        was.status = load(resource, old).status
        resource.prepare_status(now, was)
        found = resource.validate_status(now, was)
    elif subresource:
        part = resource.subresource(subresource)
        assert part is not None and part.prepare is not None and part.validate is not None
        was.status = load(resource, old).status
        part.prepare(now, was)
        found = part.validate(now, was)
    else:
        resource.prepare_update(now, was)
        found = resource.update_errors(now, was)
    found = metadata.validate_update(resource, now.metadata, was.metadata) + found
    return [str(error) for error in found]


def agrees(found: list[str], expected: list[str]) -> bool:
    """Whether the errors are the expected ones; of one that ends in ``...`` only the beginning."""
    return len(found) == len(expected) and all(
        text.startswith(each[:-3]) if each.endswith("...") else text == each
        for text, each in zip(found, expected, strict=True)
    )

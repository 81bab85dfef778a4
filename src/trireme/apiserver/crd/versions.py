"""The order of versions, and the warnings of those that are deprecated.

Upstream: apimachinery version.CompareKubeAwareVersionStrings, defaultDeprecationWarning.
"""

from __future__ import annotations

import re
from typing import Final

from trireme.apiserver.crd.definition import Definition

_VERSION: Final = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?\Z", re.ASCII)
_STAGE: Final = {"alpha": 0, "beta": 1, None: 2}


def order(version: str) -> tuple[int, int, int, int, tuple[int, ...]]:
    """A key that grows with the maturity: v1 after v1beta2 after v1beta1; others come first, and
    among them those that come first in the alphabet are greater."""
    found = _VERSION.match(version)
    if found is None:
        return (0, 0, 0, 0, tuple(-ord(character) for character in version))
    major, stage, minor = found.groups()
    return (1, _STAGE[stage], int(major), int(minor or 0), ())


def deprecation(definition: Definition, name: str) -> list[str]:
    """What a request for a version is warned of."""
    spec = definition.spec
    version = next(item for item in spec.versions if item.name == name)
    if not version.deprecated:
        return []
    if version.deprecationWarning is not None:
        return [version.deprecationWarning]
    kind = definition.names.kind
    text = f"{spec.group}/{name} {kind} is deprecated"
    better = [
        item.name
        for item in spec.versions
        if item.served and not item.deprecated and order(item.name) > order(name)
    ]
    if better:
        text += f"; use {spec.group}/{max(better, key=order)} {kind}"
    return [text]

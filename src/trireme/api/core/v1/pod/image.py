"""The pull policy that an image's name implies.

In: an image as a container names it. Out: ``Always`` or ``IfNotPresent``. Called by: defaults.
Rules: https://kubernetes.io/docs/concepts/containers/images/#imagepullpolicy-defaulting, on the
reference syntax of the distribution project.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_DOMAIN: Final = (
    r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
    r"(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
)
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_reference: Final = re.compile(
    rf"(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*(?::(?P<tag>\w[\w.-]{{0,127}}))?"
    r"(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?\Z",
    re.ASCII,
).match
_id: Final = re.compile(r"[a-f0-9]{64}\Z").match


@lru_cache(maxsize=4096)
def pull_policy(image: str) -> str:
    """``Always`` for ``:latest`` and for a name with neither tag nor digest.

    What is no image reference at all gets ``IfNotPresent``, as upstream gives it.
    """
    found = None if _id(image) else _reference(image)
    if found is None:
        return "IfNotPresent"
    tag, digest = found.group("tag"), found.group("digest")
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"

"""Image references. Pure.

In: what a user wrote. Out: its parts, with the defaults filled in. Called by images/pull and
images/credentials. Rules: the distribution reference grammar; concepts/containers/images.
"""

from __future__ import annotations

import re

import msgspec

_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"  # noqa: E501
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?\Z",
    re.ASCII,
).match


class Name(msgspec.Struct, frozen=True):
    """``repository`` is complete: ``docker.io/library/busybox``."""

    repository: str
    tag: str
    digest: str


def parse(image: str) -> Name:
    """Raises ValueError in upstream's words."""
    found = _REFERENCE(image)
    if found is None:
        detail = (
            "repository name must be lowercase"
            if image != image.lower() and _REFERENCE(image.lower())
            else "invalid reference format"
        )
        text = (
            f"invalid reference format: {detail}"
            if detail != "invalid reference format"
            else detail
        )
        raise ValueError(f'couldn\'t parse image name "{image}": {text}')
    tag, digest = found.group("tag") or "", found.group("digest") or ""
    if not tag and not digest:
        tag = "latest"
    return Name(_complete(found.group("name")), tag, digest)


def with_tag(image: str) -> str:
    """``image`` with ``:latest`` where it names no version. Raises ValueError."""
    name = parse(image)
    has_version = name.digest or image.rpartition("/")[2].find(":") >= 0
    return image if has_version else f"{image}:{name.tag}"


def _complete(name: str) -> str:
    first, slash, rest = name.partition("/")
    if not slash:
        return f"docker.io/library/{name}"
    if "." in first or ":" in first or first == "localhost":
        return f"docker.io/{rest}" if first == "index.docker.io" else name
    return f"docker.io/{name}"

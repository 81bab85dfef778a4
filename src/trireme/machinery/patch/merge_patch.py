"""JSON merge patch (RFC 7386): objects merge, null deletes, everything else replaces.

In: the body of an ``application/merge-patch+json`` request, and a plain document. Out: the new
document. Called by: the API server's patch verb, the CLI. As upstream's library does, nulls are
also taken out of the objects in a list.
"""

from __future__ import annotations

from typing import Any

from trireme.machinery import errors
from trireme.machinery.schema import decode


def parse(data: bytes, mode: str = decode.WARN) -> tuple[Any, list[str]]:
    """The patch that ``data`` holds, and its duplicate members unless they are ignored. Raises
    ApiError 400, also for one that replaces the whole document with something that is none."""
    if mode == decode.IGNORE:
        try:
            patch, _ = decode.untyped(data, mode)
        except decode.DecodeError:
            raise errors.bad_request("Invalid JSON Patch") from None
        if not isinstance(patch, dict | list):
            raise errors.bad_request("Invalid JSON Patch")
        return patch, []
    try:
        patch, twice = decode.untyped(data, decode.WARN)
    except decode.DecodeError as error:
        raise errors.bad_request(f"error decoding patch: {error.message}") from None
    if patch is None:
        raise errors.bad_request("Invalid JSON Patch")
    if not isinstance(patch, dict):
        raise errors.bad_request(f"error decoding patch: {decode.no_map(patch)}")
    return patch, twice


def apply(document: Any, patch: Any) -> Any:
    """``document`` after ``patch``."""
    if not isinstance(patch, dict) or not isinstance(document, dict):
        return _without_nulls(patch)
    merged = dict(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = apply(merged.get(key), value)
    return merged


def _without_nulls(value: Any) -> Any:
    """``value`` without the members that are null; the items of a list stay."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value

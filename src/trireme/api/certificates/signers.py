"""The syntax of a signer's name: ``example.com/serving``.

Called by: kinds of this group. Upstream: pkg/apis/core/validation ``ValidateSignerName``.
"""

from __future__ import annotations

from typing import Final

from trireme.api.rules import Errors, Syntax
from trireme.machinery import field, gotext, names
from trireme.machinery.field import Path

_LONGEST_DOMAIN: Final = 253
_LONGEST: Final = _LONGEST_DOMAIN + 1 + _LONGEST_DOMAIN + 63 + 1


def check(errs: Errors, at: Path, name: str) -> None:
    """A domain of at least two parts, and a path of one."""
    if not name:
        errs.append(field.required(at))
        return
    parts = name.split("/")
    if len(parts) != 2:
        detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        errs.append(field.invalid(at, name, detail))
        return
    domain, path = parts
    if len(domain.encode()) > _LONGEST_DOMAIN:
        errs.append(field.too_long(at, _LONGEST_DOMAIN))
    labels = domain.split(".")
    _labels(errs, at, domain, labels, names.is_dns1123_label)
    if len(labels) < 2:
        detail = "should be a domain with at least two segments separated by dots"
        errs.append(field.invalid(at, domain, detail))
    _labels(errs, at, path, path.split("."), names.is_dns1123_subdomain)
    if len(name.encode()) > _LONGEST:
        errs.append(field.too_long(at, _LONGEST))


def _labels(errs: Errors, at: Path, whole: str, labels: list[str], check: Syntax) -> None:
    """All errors of the first bad part."""
    for label in labels:
        messages = check(label)
        for message in messages:
            detail = f"validating label {gotext.quote(label)}: {message}"
            errs.append(field.invalid(at, whole, detail))
        if messages:
            return

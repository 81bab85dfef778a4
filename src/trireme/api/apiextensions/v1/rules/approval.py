"""Groups of the Kubernetes community need an approval that an annotation names.

Pure; also gives the condition that reports it. Upstream: apihelpers, validateAPIApproval;
https://github.com/kubernetes/enhancements/pull/1111.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from trireme.api.apiextensions.v1.types import CustomResourceDefinition
from trireme.api.rules import Errors
from trireme.machinery import field, gotext

ANNOTATION: Final = "api-approved.kubernetes.io"
MISSING, INVALID, BYPASSED, APPROVED = "missing", "invalid", "bypassed", "approved"
_SEE = "see https://github.com/kubernetes/enhancements/pull/1111"


def is_protected(group: str) -> bool:
    """Whether the group belongs to the Kubernetes community."""
    return any(group == name or group.endswith("." + name) for name in ("k8s.io", "kubernetes.io"))


def state(annotations: dict[str, str]) -> tuple[str, str]:
    """One of the four states, and the reason in words."""
    text = annotations.get(ANNOTATION, "")
    quoted = gotext.quote(ANNOTATION)
    if not text:
        return MISSING, f"protected groups must have approval annotation {quoted}, {_SEE}"
    if text.startswith("unapproved"):
        return BYPASSED, f"not approved: {gotext.quote(text)}"
    if _is_url(text):
        return APPROVED, f"approved in {text}"
    return INVALID, (
        f"protected groups must have approval annotation {quoted} with either a URL or a reason "
        f'starting with "unapproved", {_SEE}'
    )


def validate(
    errs: Errors, new: CustomResourceDefinition, old: CustomResourceDefinition | None
) -> None:
    """A protected group's approval, unless it is in the state that it was in before."""
    if not is_protected(new.spec.group):
        return
    now, detail = state(new.metadata.annotations)
    if old is not None and state(old.metadata.annotations)[0] == now:
        return
    at = field.path("metadata", "annotations").key(ANNOTATION)
    if now == MISSING:
        errs.append(field.required(at, detail))
    elif now == INVALID:
        errs.append(field.invalid(at, new.metadata.annotations[ANNOTATION], detail))


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)

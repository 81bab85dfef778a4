"""Annotations that the API itself reads on pods: mirror pods, deletion cost, old security profiles.

In: a pod's or template's metadata and spec. Out: errors on the list given. Called by: ``pod``,
``template``. Upstream: pkg/apis/core/validation;
https://kubernetes.io/docs/reference/labels-annotations-taints/.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from trireme.api.core.v1.pod.prepare import APPARMOR_ANNOTATION
from trireme.api.core.v1.pod.rules import paths, placement
from trireme.api.core.v1.pod.security import SeccompProfile
from trireme.api.core.v1.pod.spec import PodSpec, every_container
from trireme.api.core.v1.selection import Toleration
from trireme.api.rules import Errors
from trireme.machinery import field
from trireme.machinery.field import Path

MIRROR: Final = "kubernetes.io/config.mirror"
_TOLERATIONS: Final = "scheduler.alpha.kubernetes.io/tolerations"
_DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
SECCOMP_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER: Final = "container.seccomp.security.alpha.kubernetes.io/"
_LOCALHOST: Final = "localhost/"
_RUNTIME_DEFAULT: Final = ("runtime/default", "docker/default")
_KINDS: Final = ("initContainers", "containers", "ephemeralContainers")
_cost: Final = re.compile(r"(?:0|-[0-9]+|[1-9][0-9]*)\Z", re.ASCII).match


def known(errs: Errors, at: Path, annotations: dict[str, str], spec: PodSpec) -> None:
    """The annotations of a pod or template that mean something to the API."""
    if not annotations:
        return
    if MIRROR in annotations and not spec.nodeName:
        detail = "must set spec.nodeName if mirror pod annotation is set"
        errs.append(field.invalid(at.key(MIRROR), annotations[MIRROR], detail))
    if annotations.get(_TOLERATIONS):
        _tolerations(errs, at, annotations[_TOLERATIONS])
    cost = annotations.get(_DELETION_COST)
    if cost is not None and not _is_cost(cost):
        errs.append(field.invalid(at.key(_DELETION_COST), cost, "must be a 32bit integer"))
    for key, value in annotations.items():
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            _seccomp(errs, at.child(key), value)
        elif key.startswith(APPARMOR_ANNOTATION):
            _apparmor(errs, at.key(key), key, value, spec)


def changed(errs: Errors, at: Path, new: dict[str, str], old: dict[str, str]) -> None:
    """Annotations that may not change after creation."""
    for key, value in old.items():
        if new.get(key) == value:
            continue
        if key.startswith(APPARMOR_ANNOTATION):
            detail = "may not remove or update AppArmor annotations"
            errs.append(field.forbidden(at.key(key), detail))
        if key == MIRROR:
            detail = "may not remove or update mirror pod annotation"
            errs.append(field.forbidden(at.key(key), detail))
    for key in new:
        if key in old:
            continue
        if key.startswith(APPARMOR_ANNOTATION):
            errs.append(field.forbidden(at.key(key), "may not add AppArmor annotations"))
        if key == MIRROR:
            errs.append(field.forbidden(at.key(key), "may not add mirror pod annotation"))


def agree(errs: Errors, at: Path, annotations: dict[str, str], spec: PodSpec) -> None:
    """Old annotations and the fields that replaced them say the same. ``at`` is the spec's."""
    if not annotations:
        return
    context = spec.securityContext
    if context is not None and context.seccompProfile is not None:
        here = at.child("securityContext", "seccompProfile")
        _seccomp_agrees(errs, here, context.seccompProfile, annotations.get(SECCOMP_POD))
    check_apparmor = spec.os is None or spec.os.name != "windows"
    of_pod = context.appArmorProfile if context is not None else None
    for kind in _KINDS:
        for position, container in enumerate(getattr(spec, kind)):
            own = container.securityContext
            here = at.child(kind).index(position).child("securityContext")
            if own is not None and own.seccompProfile is not None:
                text = annotations.get(SECCOMP_CONTAINER + container.name)
                _seccomp_agrees(errs, here.child("seccompProfile"), own.seccompProfile, text)
            used = (own.appArmorProfile if own is not None else None) or of_pod
            text = annotations.get(APPARMOR_ANNOTATION + container.name)
            if check_apparmor and text is not None and used is not None:
                where = here.child("appArmorProfile")
                _agrees(errs, where, "apparmor", used.type, used.localhostProfile, text)


def _is_cost(text: str) -> bool:
    return bool(_cost(text)) and -(2**31) <= int(text) < 2**31


def _tolerations(errs: Errors, at: Path, text: str) -> None:
    try:
        items = msgspec.json.decode(text, type=list[Toleration])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        errs.append(field.invalid(at, _TOLERATIONS, str(error)))
        return
    placement.tolerations(errs, at.child(_TOLERATIONS), items)


def _seccomp(errs: Errors, at: Path, profile: str) -> None:
    if profile in _RUNTIME_DEFAULT or profile == "unconfined":
        return
    if profile.startswith(_LOCALHOST):
        paths.descending(errs, at, profile.removeprefix(_LOCALHOST))
    else:
        errs.append(field.invalid(at, profile, "must be a valid seccomp profile"))


def _apparmor(errs: Errors, at: Path, key: str, profile: str, spec: PodSpec) -> None:
    name = key.removeprefix(APPARMOR_ANNOTATION)
    if all(container.name != name for container in every_container(spec)):
        errs.append(field.invalid(at, name, "container not found"))
    known = profile in ("", "runtime/default", "unconfined") or profile.startswith(_LOCALHOST)
    if not known:
        errs.append(field.invalid(at, profile, f'invalid AppArmor profile name: "{profile}"'))


def _seccomp_agrees(
    errs: Errors, at: Path, profile: SeccompProfile, annotation: str | None
) -> None:
    if annotation is not None:
        _agrees(errs, at, "seccomp", profile.type, profile.localhostProfile, annotation)


def _agrees(
    errs: Errors, at: Path, what: str, kind: str, path: str | None, annotation: str
) -> None:
    if kind == "Unconfined":
        same = annotation == "unconfined"
    elif kind == "RuntimeDefault":
        old = what == "seccomp" and annotation == "docker/default"
        same = annotation == "runtime/default" or old
    elif kind == "Localhost":
        same = annotation.startswith(_LOCALHOST)
    else:
        return
    if not same:
        detail = f"{what} type in annotation and field must match"
        errs.append(field.forbidden(at.child("type"), detail))
    elif kind == "Localhost" and annotation.removeprefix(_LOCALHOST) != path:
        detail = f"{what} profile in annotation and field must match"
        errs.append(field.forbidden(at.child("localhostProfile"), detail))

"""Environment variables of containers.

In: ``env`` and ``envFrom`` of a container. Out: errors on the list given. Called by: ``containers``
and, for the selectors of fields, ``volumes``. Upstream: pkg/apis/core/validation;
https://kubernetes.io/docs/concepts/workloads/pods/downward-api/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trireme.api import rules
from trireme.api.core.v1.pod.container import EnvFromSource, EnvVar, EnvVarSource
from trireme.api.core.v1.pod.rules import paths
from trireme.api.core.v1.pod.sources import (
    ConfigMapKeySelector,
    FileKeySelector,
    ObjectFieldSelector,
    ResourceFieldSelector,
    SecretKeySelector,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names, quantity
from trireme.machinery.field import Path

ENV_FIELDS: Final = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS: Final = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
_RESOURCES: Final = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES: Final = ("requests.hugepages-", "limits.hugepages-")
# Labels of pod fields that old and new clients use somewhere; not all are allowed everywhere.
_KNOWN: Final = frozenset(
    (
        *ENV_FIELDS,
        *VOLUME_FIELDS,
        "spec.host",
        "spec.restartPolicy",
        "spec.schedulerName",
        "status.phase",
    )
)
_SUBSCRIPTED: Final = ("metadata.annotations", "metadata.labels")
_CPU_DIVISORS: Final = ("1m", "1")
_SIZE_DIVISORS: Final = (
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
)  # fmt: skip
_SIZES: Final = {
    "limits.memory": "memory",
    "requests.memory": "memory",
    "limits.ephemeral-storage": "local ephemeral storage",
    "requests.ephemeral-storage": "local ephemeral storage",
}


def variables(errs: Errors, at: Path, items: Sequence[EnvVar]) -> None:
    """``env``."""
    for position, item in enumerate(items):
        if not item.name:
            errs.append(field.required(at.index(position).child("name")))
        else:
            messages = names.is_relaxed_env_var_name(item.name)
            if messages:
                rules.add(errs, at.index(position).child("name"), item.name, messages)
        if item.valueFrom is not None:
            _value_from(errs, at.index(position).child("valueFrom"), item, item.valueFrom)


def variables_from(errs: Errors, at: Path, items: Sequence[EnvFromSource]) -> None:
    """``envFrom``."""
    for position, item in enumerate(items):
        here = at.index(position)
        if item.prefix:
            rules.syntax(errs, here, "prefix", item.prefix, names.is_relaxed_env_var_name)
        sources = 0
        for name in ("configMapRef", "secretRef"):
            source = getattr(item, name)
            if source is not None:
                sources += 1
                below = here.child(name)
                if rules.required(errs, below, "name", source.name):
                    masked = names.mask_trailing_dash(source.name)
                    messages = names.is_dns1123_subdomain(masked)
                    rules.add(errs, below.child("name"), source.name, messages)
        if sources == 0:
            detail = "must specify one of: `configMapRef` or `secretRef`"
            errs.append(field.invalid(at, "", detail))
        elif sources > 1:
            detail = "may not have more than one field specified at a time"
            errs.append(field.invalid(at, "", detail))


def _value_from(errs: Errors, at: Path, item: EnvVar, source: EnvVarSource) -> None:
    count = 0
    if source.fieldRef is not None:
        count += 1
        field_selector(errs, at.child("fieldRef"), source.fieldRef, ENV_FIELDS)
    if source.resourceFieldRef is not None:
        count += 1
        resource_selector(errs, at.child("resourceFieldRef"), source.resourceFieldRef)
    if source.configMapKeyRef is not None:
        count += 1
        _key(errs, at.child("configMapKeyRef"), source.configMapKeyRef)
    if source.secretKeyRef is not None:
        count += 1
        _key(errs, at.child("secretKeyRef"), source.secretKeyRef)
    if source.fileKeyRef is not None:
        count += 1
        _file_key(errs, at.child("fileKeyRef"), source.fileKeyRef)
    if count == 0:
        detail = (
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
            "`secretKeyRef` or `fileKeyRef`"
        )
        errs.append(field.invalid(at, "", detail))
    elif item.value:
        errs.append(field.invalid(at, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        detail = "may not have more than one field specified at a time"
        errs.append(field.invalid(at, "", detail))


def field_selector(
    errs: Errors, at: Path, selector: ObjectFieldSelector, allowed: Sequence[str]
) -> None:
    """A field of the pod by its path, of those that are ``allowed`` here."""
    if not rules.required(errs, at, "apiVersion", selector.apiVersion):
        return
    if not rules.required(errs, at, "fieldPath", selector.fieldPath):
        return
    text = selector.fieldPath
    path, subscript = _split(text)
    reason = ""
    if selector.apiVersion != "v1":
        reason = f"unsupported pod version: {selector.apiVersion}"
    elif subscript is not None:
        if path not in _SUBSCRIPTED:
            reason = f"field label does not support subscript: {text}"
    elif text not in _KNOWN:
        reason = f"field label not supported: {text}"
    if reason:
        detail = f"error converting fieldPath: {reason}"
        errs.append(field.invalid(at.child("fieldPath"), text, detail))
    elif subscript is not None:
        key = subscript.lower() if path == "metadata.annotations" else subscript
        rules.add(errs, at, key, names.is_qualified_name(key))
    else:
        path = "spec.nodeName" if text == "spec.host" else text
        rules.one_of(errs, at, "fieldPath", path, allowed)


def _split(text: str) -> tuple[str, str | None]:
    """``metadata.labels['a']`` is the path and its subscript."""
    if text.endswith("']"):
        path, bracket, subscript = text[:-2].partition("['")
        if bracket and path:
            return path, subscript
    return text, None


def resource_selector(
    errs: Errors, at: Path, selector: ResourceFieldSelector, in_volume: bool = False
) -> None:
    """A container's request or limit. In a volume it must say which container's."""
    name = selector.resource
    if in_volume and not selector.containerName:
        errs.append(field.required(at.child("containerName")))
    elif not name:
        errs.append(field.required(at.child("resource")))
    elif name not in _RESOURCES and not name.startswith(_HUGE_PAGES):
        errs.append(field.not_supported(at.child("resource"), name, _RESOURCES))
    _divisor(errs, at, name, selector.divisor)


def _divisor(errs: Errors, at: Path, name: str, divisor: str) -> None:
    if not quantity.parse(divisor or "0"):
        return
    detail = ""
    if name in ("limits.cpu", "requests.cpu"):
        if divisor not in _CPU_DIVISORS:
            detail = "only divisor's values 1m and 1 are supported with the cpu resource"
    elif divisor not in _SIZE_DIVISORS:
        what = "hugepages" if name.startswith(_HUGE_PAGES) else _SIZES.get(name)
        if what is not None:
            values = ", ".join(_SIZE_DIVISORS)
            detail = f"only divisor's values {values} are supported with the {what} resource"
    if detail:
        errs.append(field.invalid(at.child("divisor"), name, detail))


def _key(errs: Errors, at: Path, selector: ConfigMapKeySelector | SecretKeySelector) -> None:
    rules.syntax(errs, at, "name", selector.name, names.is_dns1123_subdomain)
    rules.required_syntax(errs, at, "key", selector.key, names.is_config_key)


def _file_key(errs: Errors, at: Path, selector: FileKeySelector) -> None:
    rules.required_syntax(errs, at, "key", selector.key, names.is_relaxed_env_var_name)
    rules.required_syntax(errs, at, "volumeName", selector.volumeName, names.is_dns1123_label)
    if rules.required(errs, at, "path", selector.path):
        paths.no_backsteps(errs, at.child("path"), selector.path)

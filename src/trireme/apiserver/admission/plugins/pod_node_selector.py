"""PodNodeSelector: a namespace says on which nodes its pods run. Off by default.

The annotation of the namespace, or else the cluster's default, is merged into each pod; a pod's
selector may have no more than what the configuration lists for its namespace.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#podnodeselector.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.machinery import errors
from trireme.machinery.codec import yaml
from trireme.machinery.resource import Resource

_ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
_DEFAULT = "clusterDefaultNodeSelector"


class _File(msgspec.Struct, forbid_unknown_fields=True):
    podNodeSelectorPluginConfig: dict[str, str] = {}


def decode(data: bytes | None) -> dict[str, str]:
    """Selectors by namespace, and the default; the form has no version. ValueError."""
    if data is None:
        return {}
    try:
        found = msgspec.convert(yaml.load(data).value or {}, _File).podNodeSelectorPluginConfig
    except (errors.ApiError, msgspec.ValidationError) as error:
        raise ValueError(str(error)) from None
    for text in found.values():
        labels(text)
    return found


def labels(text: str) -> dict[str, str]:
    """The labels of ``a=b,c=d``. ValueError."""
    found: dict[str, str] = {}
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if not equals or "=" in value:
            raise ValueError(f"invalid selector: {part}")
        found[key.strip()] = value.strip()
    return found


class PodNodeSelector(PluginBase):
    """For new pods."""

    name = "PodNodeSelector"

    def __init__(self, selectors: Mapping[str, str]) -> None:
        self._selectors = selectors

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Pod and not subresource and operation == "CREATE"

    def admit(self, attributes: Attributes, context: Context) -> None:
        pod: Pod = attributes.new
        desired = self._desired(attributes, context)
        _refuse_conflict(pod, desired)
        pod.spec.nodeSelector = desired | pod.spec.nodeSelector
        self.validate(attributes, context)

    def validate(self, attributes: Attributes, context: Context) -> None:
        pod: Pod = attributes.new
        _refuse_conflict(pod, self._desired(attributes, context))
        allowed = labels(self._selectors.get(attributes.namespace, ""))
        if allowed and not pod.spec.nodeSelector.items() <= allowed.items():
            detail = "pod node label selector labels conflict with its namespace whitelist"
            raise errors.forbidden("pods", pod.metadata.name, detail)

    def _desired(self, attributes: Attributes, context: Context) -> dict[str, str]:
        namespace = context.reader.get(Namespace, "", attributes.namespace)
        if namespace is None:
            raise errors.not_found("namespaces", attributes.namespace)
        text = namespace.metadata.annotations.get(_ANNOTATION)
        try:
            return labels(self._selectors.get(_DEFAULT, "") if text is None else text)
        except ValueError as error:
            raise errors.forbidden("pods", attributes.new.metadata.name, str(error)) from None


def _refuse_conflict(pod: Pod, desired: Mapping[str, str]) -> None:
    own = pod.spec.nodeSelector
    if any(own.get(key, value) != value for key, value in desired.items()):
        detail = "pod node label selector conflicts with its namespace node label selector"
        raise errors.forbidden("pods", pod.metadata.name, detail)

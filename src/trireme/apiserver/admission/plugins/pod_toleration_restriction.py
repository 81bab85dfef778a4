"""PodTolerationRestriction: a namespace's default tolerations, and those that it allows at all.

Off by default. Upstream answers a conflict with 500; here it is 403, as for all refusals.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#podtolerationrestriction.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.pod import qos
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.selection import Toleration
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase
from trireme.machinery import configuration, errors
from trireme.machinery.resource import Resource

_GROUP = "podtolerationrestriction.admission.k8s.io"
_DEFAULTS = "scheduler.alpha.kubernetes.io/defaultTolerations"
_ALLOWED = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
_PRESSURE = Toleration(
    key="node.kubernetes.io/memory-pressure", operator="Exists", effect="NoSchedule"
)
_decode = msgspec.json.Decoder(list[Toleration]).decode


@dataclass(frozen=True)
class Settings:
    """Of the cluster, where a namespace says nothing."""

    default: tuple[Toleration, ...] = ()
    whitelist: tuple[Toleration, ...] = ()


class _File(configuration.Configuration, frozen=True):
    default: tuple[Toleration, ...] = ()
    whitelist: tuple[Toleration, ...] = ()


def decode(data: bytes | None) -> Settings:
    """From a file of kind Configuration. ValueError."""
    if data is None:
        return Settings()
    found = configuration.decode(data, _GROUP, "Configuration", ("v1alpha1",), _File)
    return Settings(found.default, found.whitelist)


class PodTolerationRestriction(PluginBase):
    name = "PodTolerationRestriction"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Pod and not subresource and operation in ("CREATE", "UPDATE")

    def admit(self, attributes: Attributes, context: Context) -> None:
        pod: Pod = attributes.new
        extra: list[Toleration] = []
        if attributes.operation == "CREATE":
            own = _of_namespace(attributes, context, _DEFAULTS)
            extra += self._settings.default if own is None else own
        if qos.of(pod.spec) != "BestEffort":
            extra.append(_PRESSURE)
        if extra:
            pod.spec.tolerations = merged([*pod.spec.tolerations, *extra])
        self.validate(attributes, context)

    def validate(self, attributes: Attributes, context: Context) -> None:
        pod: Pod = attributes.new
        if not pod.spec.tolerations:
            return
        allowed, scope = _of_namespace(attributes, context, _ALLOWED), "namespace"
        if allowed is None:
            allowed, scope = list(self._settings.whitelist), "cluster"
        if allowed and not all(
            any(covers(item, toleration) for item in allowed) for toleration in pod.spec.tolerations
        ):
            raise errors.ApiError(
                403,
                errors.FORBIDDEN,
                "pod tolerations (possibly merged with namespace default tolerations) conflict "
                f"with its {scope} whitelist",
            )


def _of_namespace(attributes: Attributes, context: Context, key: str) -> list[Toleration] | None:
    namespace = context.reader.get(Namespace, "", attributes.namespace)
    if namespace is None:
        raise errors.not_found("namespaces", attributes.namespace)
    text = namespace.metadata.annotations.get(key)
    if text is None:
        return None
    try:
        return _decode(text) if text else []
    except msgspec.DecodeError as error:
        message = f"annotation {key} of namespace {attributes.namespace}: {error}"
        raise errors.ApiError(403, errors.FORBIDDEN, message) from None


def merged(tolerations: list[Toleration]) -> list[Toleration]:
    """Without those that others cover; of equal ones the first stays."""
    kept: list[Toleration] = []
    for position, item in enumerate(tolerations):
        later = (other for other in tolerations[position + 1 :] if other != item)
        if not any(covers(other, item) for other in (*kept, *later)):
            kept.append(item)
    return kept


def covers(wide: Toleration, narrow: Toleration) -> bool:
    """Whether one toleration tolerates all that another one does."""
    if wide == narrow:
        return True
    if narrow.key != wide.key and (wide.key or wide.operator != "Exists"):
        return False
    if narrow.effect != wide.effect and wide.effect:
        return False
    if wide.effect == "NoExecute" and wide.tolerationSeconds is not None:
        seconds = narrow.tolerationSeconds
        if seconds is None or seconds > wide.tolerationSeconds:
            return False
    if wide.operator in ("Equal", ""):
        return narrow.operator == "Equal" and narrow.value == wide.value
    return wide.operator == "Exists"

"""RuntimeClass: a pod gets the overhead, node selector and tolerations of its runtime class.

https://kubernetes.io/docs/concepts/containers/runtime-class/; KEP-688.
"""

from __future__ import annotations

from collections.abc import Iterable

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.selection import Toleration
from trireme.api.node.v1.runtimeclass import RuntimeClass
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.domain import resource_lists
from trireme.machinery import gotext
from trireme.machinery.resource import Resource

_OTHER_OVERHEAD = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"


class RuntimeClassPlugin(PluginBase):
    """For pods that are created."""

    name = "RuntimeClass"

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return resource.type is Pod and not subresource and operation == "CREATE"

    def admit(self, attributes: Attributes, context: Context) -> None:
        spec = attributes.new.spec
        found = _class_of(attributes, context)
        if found is None:
            return
        if found.overhead is not None:
            if spec.overhead and not _same(spec.overhead, found.overhead.podFixed):
                raise forbidden(attributes, _OTHER_OVERHEAD)
            spec.overhead = dict(found.overhead.podFixed)
        if found.scheduling is None:
            return
        for key, value in sorted(found.scheduling.nodeSelector.items()):
            own = spec.nodeSelector.get(key, value)
            if own != value:
                raise forbidden(
                    attributes,
                    f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                    f"pod.spec.nodeSelector[{key}] = {own}",
                )
        spec.nodeSelector = {**spec.nodeSelector, **found.scheduling.nodeSelector}
        spec.tolerations = merged(spec.tolerations, found.scheduling.tolerations)

    def validate(self, attributes: Attributes, context: Context) -> None:
        overhead = attributes.new.spec.overhead
        found = _class_of(attributes, context)
        if found is not None and found.overhead is not None:
            if not _same(overhead, found.overhead.podFixed):
                raise forbidden(attributes, _OTHER_OVERHEAD)
        elif overhead:
            detail = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined"
            raise forbidden(attributes, f"{detail} Overhead")


def _class_of(attributes: Attributes, context: Context) -> RuntimeClass | None:
    name = attributes.new.spec.runtimeClassName
    if name is None:
        return None
    found = context.reader.get(RuntimeClass, "", name)
    if found is None:
        raise forbidden(attributes, f"pod rejected: RuntimeClass {gotext.quote(name)} not found")
    return found


def _same(one: dict[str, str], other: dict[str, str]) -> bool:
    return resource_lists.parse(one) == resource_lists.parse(other)


def merged(first: Iterable[Toleration], second: Iterable[Toleration]) -> list[Toleration]:
    """Both lists without tolerations that another one covers; of equal ones the first stays."""
    every = [*first, *second]
    kept: list[Toleration] = []
    for position, item in enumerate(every):
        before = any(_covers(other, item) for other in kept)
        after = any(other != item and _covers(other, item) for other in every[position + 1 :])
        if not before and not after:
            kept.append(item)
    return kept


def _covers(wide: Toleration, narrow: Toleration) -> bool:
    """Whether ``wide`` tolerates all that ``narrow`` does, for as long."""
    if wide == narrow:
        return True
    if wide.key != narrow.key and (wide.key or wide.operator != "Exists"):
        return False
    if wide.effect and wide.effect != narrow.effect:
        return False
    if wide.effect == "NoExecute" and wide.tolerationSeconds is not None:
        seconds = narrow.tolerationSeconds
        if seconds is None or seconds > wide.tolerationSeconds:
            return False
    if wide.operator == "Exists":
        return True
    return wide.operator in ("", "Equal") and (
        narrow.operator == "Equal" and narrow.value == wide.value
    )

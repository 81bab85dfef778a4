"""RuntimeClass: which handler of the container runtime runs a pod, what that costs, and where.

In: RuntimeClasses. Called by: the write path, server-side printing. Upstream:
pkg/apis/node/validation, pkg/registry/node/runtimeclass.
"""

from __future__ import annotations

from typing import Annotated

from trireme.api import columns, rules
from trireme.api.core.v1.node_labels import DEPRECATED
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.rules import placement, resources
from trireme.api.core.v1.selection import Toleration
from trireme.api.rules import Errors
from trireme.machinery import field, meta, names
from trireme.machinery.field import Path
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Atomic, Quantity, Required, Struct, always, constant


class Overhead(Struct):
    podFixed: dict[str, Quantity] = {}


class Scheduling(Struct):
    nodeSelector: Annotated[dict[str, str], Atomic()] = {}
    tolerations: Annotated[list[Toleration], Atomic()] = []


class RuntimeClass(Struct):
    kind: str = constant("RuntimeClass")
    apiVersion: str = constant("node.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    handler: Annotated[str, Required()] = always(str)
    overhead: Overhead | None = None
    scheduling: Scheduling | None = None


def validate(new: RuntimeClass) -> Errors:
    """A handler, an overhead that pods could have, tolerations without repetition."""
    errs: Errors = []
    rules.required_syntax(errs, field.path(), "handler", new.handler, names.is_dns1123_label)
    if new.overhead is not None:
        limits = ResourceRequirements(limits=new.overhead.podFixed)
        resources.of_container(errs, field.path("overhead"), limits, frozenset())
    if new.scheduling is not None:
        at = field.path("scheduling")
        rules.labels(errs, at.child("nodeSelector"), new.scheduling.nodeSelector)
        _tolerations(errs, at.child("tolerations"), new.scheduling.tolerations)
    return errs


def _tolerations(errs: Errors, at: Path, items: list[Toleration]) -> None:
    placement.tolerations(errs, at, items)
    used: set[tuple[str, ...]] = set()
    for position, item in enumerate(items):
        key = (item.key, item.operator, item.value, item.effect)
        if key in used:
            errs.append(field.duplicate(at.index(position), item))
        used.add(key)


def validate_update(new: RuntimeClass, old: RuntimeClass) -> Errors:
    """The handler stays."""
    errs = validate(new)
    rules.unchanged(errs, field.path(), "handler", new.handler, old.handler)
    return errs


def warnings(new: RuntimeClass, _old: RuntimeClass | None) -> list[str]:
    """Deprecated labels of nodes."""
    if new.scheduling is None:
        return []
    return [
        f"scheduling.nodeSelector: {DEPRECATED[key]}"
        for key in new.scheduling.nodeSelector
        if key in DEPRECATED
    ]


RESOURCE = Resource(
    type=RuntimeClass,
    plural="runtimeclasses",
    namespaced=False,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    unconditional_update=False,
    create_on_update=True,
    columns=(
        columns.NAME,
        Column("Handler", "handler", "How the container runtime knows this class."),
        columns.AGE,
    ),
)

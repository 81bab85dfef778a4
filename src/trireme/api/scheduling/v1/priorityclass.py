"""Types of priorityclass: see the API reference, scheduling/v1."""

from __future__ import annotations

from typing import Annotated, Final

from trireme.api import columns, rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.resource import Column, Resource
from trireme.machinery.types import Default, Int32, Struct, always, constant


class PriorityClass(Struct):
    kind: str = constant("PriorityClass")
    apiVersion: str = constant("scheduling.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    value: Int32 = always(int)
    globalDefault: bool = False
    description: str = ""
    preemptionPolicy: Annotated[str | None, Default("PreemptLowerPriority")] = None


HIGHEST_OF_USERS: Final = 1_000_000_000
SYSTEM_PREFIX: Final = "system-"
# The system's classes.
SYSTEM: Final = {
    "system-node-critical": 2 * HIGHEST_OF_USERS + 1000,
    "system-cluster-critical": 2 * HIGHEST_OF_USERS,
}


def validate(new: PriorityClass) -> Errors:
    """Users' values are below the system's; the two system classes are fixed."""
    errs: Errors = []
    name = new.metadata.name
    if name.startswith(SYSTEM_PREFIX):
        detail = _not_system(new)
        if detail:
            detail = (
                f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use "
                f"only. error: {detail}"
            )
            errs.append(field.forbidden(field.path("metadata", "name"), detail))
    elif new.value > HIGHEST_OF_USERS:
        detail = f"maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}"
        errs.append(field.forbidden(field.path("value"), detail))
    if new.preemptionPolicy is not None:
        supported = ("PreemptLowerPriority", "Never")
        value = new.preemptionPolicy
        rules.required_one_of(errs, field.path(), "preemptionPolicy", value, supported)
    return errs


def validate_update(new: PriorityClass, old: PriorityClass) -> Errors:
    """Value and preemption policy stay."""
    errs: Errors = []
    if new.value != old.value:
        errs.append(field.forbidden(field.path("value"), "may not be changed in an update."))
    policy, was = new.preemptionPolicy, old.preemptionPolicy
    rules.unchanged(errs, field.path(), "preemptionPolicy", policy, was)
    return errs


def _not_system(new: PriorityClass) -> str:
    name = new.metadata.name
    if name not in SYSTEM:
        return f"{name} is not a known system priority class"
    if new.value != SYSTEM[name]:
        return f"value of {name} PriorityClass must be {SYSTEM[name]}"
    if new.globalDefault:
        return f"globalDefault of {name} PriorityClass must be false"
    return ""


RESOURCE = Resource(
    type=PriorityClass,
    plural="priorityclasses",
    namespaced=False,
    short_names=("pc",),
    # Generation is 1 and never changes.
    generation=lambda _new, _old: False,
    validate=validate,
    validate_update=validate_update,
    columns=(
        columns.NAME,
        Column("Value", "value", "The priority of the pods that name this class.", type="integer"),
        Column(
            "Global-Default", "globalDefault", "Whether pods that name none get it.", type="boolean"
        ),
        columns.AGE,
        Column(
            "PreemptionPolicy",
            "preemptionPolicy",
            "Whether its pods may displace others.",
            empty="",
            priority=1,
        ),
    ),
)

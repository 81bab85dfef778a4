"""Types of limitrange: see the API reference, core/v1."""

from __future__ import annotations

from trireme.api.core.v1 import limitrange_rules as checks
from trireme.api.core.v1.limitrange_types import LimitRange
from trireme.machinery.resource import Resource


def defaults(obj: LimitRange) -> None:
    """Of containers: the default limit is the maximum, the default request that limit or the
    minimum."""
    for item in obj.spec.limits or ():
        if item.type == "Container":
            item.default = {**item.max, **item.default}
            item.defaultRequest = {**item.min, **item.default, **item.defaultRequest}


def prepare_create(new: LimitRange) -> None:
    """A limit range without a name is named by its uid."""
    new.metadata.name = new.metadata.name or new.metadata.uid


RESOURCE = Resource(
    type=LimitRange,
    plural="limitranges",
    short_names=("limits",),
    create_on_update=True,
    defaults=defaults,
    prepare_create=prepare_create,
    validate=checks.validate,
    validate_update=lambda new, _old: checks.validate(new),
)

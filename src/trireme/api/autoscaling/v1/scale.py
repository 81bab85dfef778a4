"""Types of scale: see the API reference, autoscaling/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api import rules
from trireme.api.rules import Errors
from trireme.machinery import field, meta
from trireme.machinery.types import Int32, Required, Struct, always, constant


class ScaleSpec(Struct):
    replicas: Int32 = 0


class ScaleStatus(Struct):
    replicas: Annotated[Int32, Required()] = always(int)
    selector: str = ""


class Scale(Struct):
    kind: str = constant("Scale")
    apiVersion: str = constant("autoscaling/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: ScaleSpec = always(ScaleSpec)
    status: ScaleStatus = always(ScaleStatus)


def validate(new: Scale) -> Errors:
    """The desired number. Called by the ``scale`` subresource of every kind that has one."""
    errs: Errors = []
    rules.not_negative(errs, field.path("spec"), "replicas", new.spec.replicas)
    return errs

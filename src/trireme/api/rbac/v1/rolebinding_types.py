"""Types of RoleBinding: see the API reference, rbac/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.rbac.v1.rules import RoleRef, Subject
from trireme.machinery import meta
from trireme.machinery.types import Atomic, Required, Struct, always, constant


class RoleBinding(Struct):
    kind: str = constant("RoleBinding")
    apiVersion: str = constant("rbac.authorization.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    subjects: Annotated[list[Subject], Atomic()] = []
    roleRef: Annotated[RoleRef, Required()] = always(RoleRef)

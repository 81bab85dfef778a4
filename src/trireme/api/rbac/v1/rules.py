"""Types of rules: see the API reference, rbac/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import Atomic, Default, Required, Struct, always, atomic


class PolicyRule(Struct):
    verbs: Annotated[list[str], Required(), Atomic()] = always(list)
    apiGroups: Annotated[list[str], Atomic()] = []
    resources: Annotated[list[str], Atomic()] = []
    resourceNames: Annotated[list[str], Atomic()] = []
    nonResourceURLs: Annotated[list[str], Atomic()] = []


@atomic
class RoleRef(Struct):
    apiGroup: Annotated[str, Default("rbac.authorization.k8s.io")] = always(str)
    kind: Annotated[str, Required()] = always(str)
    name: Annotated[str, Required()] = always(str)


@atomic
class Subject(Struct):
    kind: Annotated[str, Required()] = always(str)
    apiGroup: str = ""
    name: Annotated[str, Required()] = always(str)
    namespace: str = ""

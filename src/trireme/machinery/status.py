"""The metav1 Status that answers every failed request, and its parts. Types only.

Built by ``errors``; decoded by the client. Upstream: apimachinery ``meta/v1`` Status;
api-conventions.md#response-status-kind.
"""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.meta import ListMeta
from trireme.machinery.types import Atomic, Int32, Struct, always, constant


class StatusCause(Struct):
    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(Struct):
    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: Annotated[list[StatusCause], Atomic()] = []
    retryAfterSeconds: Int32 = 0


class Status(Struct):
    kind: str = constant("Status")
    apiVersion: str = constant("v1")
    metadata: ListMeta = always(ListMeta)
    status: str = ""
    message: str = ""
    reason: str = ""
    details: Annotated[StatusDetails | None, Atomic()] = None
    code: Int32 = 0

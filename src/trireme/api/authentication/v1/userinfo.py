"""Types of userinfo: see the API reference, authentication/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import Atomic, Struct


class UserInfo(Struct):
    username: str = ""
    uid: str = ""
    groups: Annotated[list[str], Atomic()] = []
    extra: dict[str, list[str]] = {}

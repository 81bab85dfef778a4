"""What an authorizer is asked and answers. Upstream: apiserver ``authorization/authorizer``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec

from trireme.apiserver.request import User

T = TypeVar("T")


class Attributes(msgspec.Struct, frozen=True, gc=False):
    """One question. ``path`` decides when ``resource`` is empty."""

    user: User
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""
    label_selector: str = ""

    @property
    def is_resource(self) -> bool:
        """Whether the question is about a resource; one without a name is still one."""
        return bool(self.resource) or not self.path


class Decision(msgspec.Struct, frozen=True, gc=False):
    """``denied`` ends the asking; neither allowed nor denied lets the next authorizer answer.
    ``error``: why an authorizer could not decide."""

    allowed: bool
    reason: str = ""
    denied: bool = False
    error: str = ""


class Authorizer(Protocol):
    """Without waiting; raises ``Unanswered`` where somebody has to be waited for."""

    def authorize(self, attributes: Attributes) -> Decision: ...


class Unanswered(Exception):
    """A webhook has to be asked first. ``answer`` does, for the session that raised this."""

    def __init__(self, answer: Callable[[], Awaitable[None]]) -> None:
        super().__init__("an authorizer has to be waited for")
        self.answer = answer


async def answered(compute: Callable[[], T]) -> T:
    """What is computed with a session of an authorizer: once more after each question that had to
    be waited for, so that it must do nothing but compute."""
    while True:
        try:
            return compute()
        except Unanswered as question:
            await question.answer()

"""What an authorizer is asked and answers. Upstream: apiserver ``authorization/authorizer``."""

from __future__ import annotations

from typing import Protocol

import msgspec

from trireme.apiserver.request import User


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
    """``denied`` ends the asking; neither allowed nor denied lets the next authorizer answer."""

    allowed: bool
    reason: str = ""
    denied: bool = False


class Authorizer(Protocol):
    def authorize(self, attributes: Attributes) -> Decision: ...

"""What an authenticator is asked and answers. Upstream: apiserver ``authentication/authenticator``.

An authenticator of credentials answers with an ``Identity``, with None when the credential is not
of its sort, or raises ``Rejected`` when it is of its sort and bad. Only ``union`` turns a rejection
into a 401, whose text never has the cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from trireme.apiserver.request import AUTHENTICATED as AUTHENTICATED
from trireme.apiserver.request import UNAUTHENTICATED as UNAUTHENTICATED
from trireme.apiserver.request import User


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, and for which of the target audiences the credential was made."""

    user: User
    audiences: tuple[str, ...] = ()


def authenticated(identity: Identity) -> Identity:
    """The identity, its user in the group of all that are authenticated."""
    user = identity.user
    if AUTHENTICATED in user.groups or UNAUTHENTICATED in user.groups:
        return identity
    groups = (*user.groups, AUTHENTICATED)
    return Identity(User(user.name, user.uid, groups, user.extra), identity.audiences)


class Rejected(Exception):
    """The credential is bad; the text is the cause, for logs and for TokenReview."""


class SignerError(Exception):
    """A signer of tokens that is elsewhere does not answer, or not as it should."""


class RemoteTokenAuthenticator(Protocol):
    """Of bearer tokens about which others have to be asked; owns connections."""

    async def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None: ...

    async def close(self) -> None: ...


class TokenAuthenticator(Protocol):
    """Of bearer tokens that are meant for one of ``audiences``."""

    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None: ...

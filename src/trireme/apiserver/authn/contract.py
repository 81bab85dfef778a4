"""What an authenticator is asked and answers."""

from __future__ import annotations

from typing import Protocol

from trireme.apiserver.request import Request, User


class Authenticator(Protocol):
    async def authenticate(self, request: Request) -> User:
        """Who sends the request, anonymous included; 401 ``ApiError`` for a bad credential."""

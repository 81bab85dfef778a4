"""The expected errors, whose text is for users: the command line prints it without a traceback."""

from __future__ import annotations

from trireme.client.transport import Unreachable
from trireme.cluster.user_error import UserError
from trireme.machinery.errors import ApiError
from trireme.runtime.election import Lost
from trireme.store.contract import CannotOpen, Unreadable

EXPECTED = (
    ApiError,
    CannotOpen,
    Lost,
    PermissionError,
    Unreachable,
    Unreadable,
    UserError,
    ValueError,
)


def expected(error: BaseException) -> BaseException | None:
    """The expected error, also out of an exception group; None if it is a bug."""
    if isinstance(error, BaseExceptionGroup):
        known, unknown = error.split((*EXPECTED, OSError))
        if known is None or unknown is not None:
            return None
        first: BaseException = known
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        return first
    return error if isinstance(error, (*EXPECTED, OSError)) else None

"""The expected errors, whose text is for users: the command line prints it without a traceback."""

from __future__ import annotations

from trireme.client.transport import Unreachable
from trireme.cluster.hosts.cgroups import NoCgroups
from trireme.cluster.hosts.containerd import NotReady
from trireme.cluster.hosts.plan import NoNetworkLeft
from trireme.cluster.hosts.spawn import SpawnFailed
from trireme.cluster.hosts.teardown import StillThere
from trireme.cluster.images.archive import BadArchive
from trireme.cluster.images.build import BuildFailed
from trireme.cluster.images.load import LoadFailed
from trireme.cluster.lock import Busy
from trireme.cluster.settings import BadSetting
from trireme.cluster.up import CannotStart
from trireme.machinery.errors import ApiError
from trireme.runtime.election import Lost
from trireme.store.contract import CannotOpen, Unreadable

EXPECTED = (
    ApiError,
    BadArchive,
    BadSetting,
    BuildFailed,
    Busy,
    CannotOpen,
    CannotStart,
    LoadFailed,
    Lost,
    NoCgroups,
    NoNetworkLeft,
    NotReady,
    SpawnFailed,
    StillThere,
    Unreachable,
    Unreadable,
    PermissionError,
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

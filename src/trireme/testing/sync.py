"""A cluster for tests without ``async``: the methods of ``Cluster`` as plain calls.

    with SyncCluster(nodes=2) as cluster:
        cluster.apply("deployment.yaml")
        cluster.wait("Deployment", "web", "condition=Available")

In and out: as ``cluster``. Between two calls time stands still.
"""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from trireme.testing import conditions, durations
from trireme.testing.cluster import Cluster
from trireme.testing.differences import Difference
from trireme.testing.durations import Duration
from trireme.testing.faults import Faults, Rule
from trireme.testing.journal import Change
from trireme.testing.loops import Driver
from trireme.testing.snapshot import Snapshot
from trireme.testing.waiting import Attempt

P = ParamSpec("P")
T = TypeVar("T")


def _call(
    method: Callable[Concatenate[Cluster, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[SyncCluster, P], T]:
    """The method of ``Cluster``, run to its end."""

    @functools.wraps(method)
    def call(self: SyncCluster, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._driver.run(method(self.aio, *args, **kwargs))

    return call


class SyncCluster:
    """``aio`` is the same cluster for coroutines; ``driver`` one that runs already, with others."""

    def __init__(
        self, cluster: Cluster | None = None, driver: Driver | None = None, **options: Any
    ) -> None:
        self.aio = cluster or Cluster(**options)
        self._own = driver is None
        self._driver = driver or Driver()

    def __enter__(self) -> Self:
        try:
            self._driver.run(self.aio.start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        try:
            self._driver.run(self.aio.close())
        finally:
            self._end()

    def _end(self) -> None:
        if self._own:
            self._driver.close()

    get = _call(Cluster.get)
    list = _call(Cluster.list)
    create = _call(Cluster.create)
    apply = _call(Cluster.apply)
    patch = _call(Cluster.patch)
    delete = _call(Cluster.delete)
    wait = _call(Cluster.wait)
    advance = _call(Cluster.advance)
    restore = _call(Cluster.restore)
    stop = _call(Cluster.stop)
    restart = _call(Cluster.restart)
    crash = _call(Cluster.crash)

    def run_until(self, condition: Callable[[], T], within: Duration = "1h") -> T:
        """Let time pass until ``condition()`` is true; returns that value. See ``Cluster``."""
        return self._until(condition, within, conditions.describe(condition))

    def eventually(
        self, condition: Callable[[], T], within: Duration = "10m", message: str = ""
    ) -> T:
        """As ``run_until``, for functions that assert. See ``Cluster``."""
        what = message or conditions.describe(condition)
        found: T = self._until(conditions.asserting(condition), within, what)
        return found

    def _until(self, condition: Callable[[], T], within: Duration, what: str) -> T:
        self.aio.touch()
        attempt = Attempt(self.aio.waiting, durations.seconds(within), what)
        while True:
            with attempt:
                value = condition()
                if value:
                    return value
            self._driver.run(attempt.next())

    @property
    def now(self) -> float:
        """The cluster's wall clock: seconds since 1970."""
        return self.aio.now

    def snapshot(self) -> Snapshot:
        """The cluster at this instant."""
        return self.aio.snapshot()

    def fork(self, *, seed: int | None = None) -> SyncCluster:
        """A second cluster that begins as this one is now; it ends with this one."""
        return SyncCluster(self._driver.run(self.aio.fork(seed=seed)), self._driver)

    def history(self, kind: str | type = "", name: str = "") -> builtins.list[Change]:
        """All writes but heartbeats, oldest first."""
        return self.aio.history(kind, name)

    def at(self, revision: int) -> dict[str, Any]:
        """Every object as it was at a revision, by its key in the store."""
        return self.aio.at(revision)

    def diff(self, before: int, after: int) -> builtins.list[Difference]:
        """What changed between two revisions, and who wrote it."""
        return self.aio.diff(before, after)

    @property
    def revision(self) -> int:
        """The store's revision: that of the last write."""
        return self.aio.revision

    def freeze(self) -> AbstractContextManager[None]:
        """Within it time stands still."""
        return self.aio.freeze()

    @property
    def faults(self) -> Faults:
        """What goes wrong between clients and the API server, by rule."""
        return self.aio.faults

    def partition(self, node: str) -> Rule:
        """A node cannot reach the API server, until ``remove`` of the rule."""
        return self.aio.partition(node)

    def fill_disk(self, node: str = "node-0", free: float = 0.01) -> None:
        """The disk of a node has this part left."""
        self.aio.fill_disk(node, free)

    def runtime(self, node: str = "node-0") -> Any:
        """The fake container runtime of a node."""
        return self.aio.runtime(node)

"""What a controller did and its cache does not show yet: so that it does not do it twice.

In: what was created and deleted, and what the informer then shows. Out: ``satisfied(key)``: may the
controller trust its cache? Used by controllers that make objects with generated names (ReplicaSet).
An expectation that is not met in five minutes is given up. Rules: upstream
pkg/controller/controller_utils, ControllerExpectations and its UID-tracking form.

    expectations.expect_creations(key, 3)
    ... three creates, for each that fails: expectations.creation_observed(key)
    informer's handler, on ADDED: expectations.creation_observed(key)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from trireme.kit.clock import Clock
from trireme.runtime.keys import Key

TIMEOUT = 300.0


@dataclass(slots=True)
class _Expected:
    since: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)

    @property
    def fulfilled(self) -> bool:
        return self.creations <= 0 and not self.deletions


class Expectations:
    """The expectations of one controller. Deletions are known by uid: the informer may show a
    deletion twice (the mark, then the end), and each counts once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected: dict[Key, _Expected] = {}

    def satisfied(self, key: Key) -> bool:
        """Whether the cache shows all that was done, or has had long enough."""
        expected = self._expected.get(key)
        if expected is None or expected.fulfilled:
            return True
        return self._clock.monotonic() - expected.since > TIMEOUT

    def expect(self, key: Key, creations: int, deletions: Iterable[str]) -> None:
        """So many objects are about to be created, and those of these uids deleted; forgets what
        was expected before."""
        self._expected[key] = _Expected(self._clock.monotonic(), creations, set(deletions))

    def expect_creations(self, key: Key, count: int) -> None:
        """``count`` objects are about to be created."""
        self.expect(key, count, ())

    def expect_deletions(self, key: Key, uids: Iterable[str]) -> None:
        """These objects are about to be deleted."""
        self.expect(key, 0, uids)

    def creation_observed(self, key: Key) -> None:
        """The cache has a new object, or its creation failed."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.creations -= 1

    def deletion_observed(self, key: Key, uid: str) -> None:
        """The cache shows that an object goes or is gone, or its deletion failed."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.deletions.discard(uid)

    def deleting(self, key: Key) -> frozenset[str]:
        """The uids whose deletion the cache does not show yet."""
        expected = self._expected.get(key)
        return frozenset(expected.deletions) if expected is not None else frozenset()

    def forget(self, key: Key) -> None:
        """The controller's object is gone."""
        self._expected.pop(key, None)

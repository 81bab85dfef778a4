"""Leader election: of several replicas of a component, one works.

In: the Lease that all candidates share, and this one's identity. Out: ``lead(work)`` runs ``work``
while this candidate holds the lease, and raises ``Lost`` when it no longer does: the process or
task then restarts, so that two leaders never overlap. A leader that is cancelled ends its work
first and then releases the lease, so the next takes over at once. Rules: client-go
``tools/leaderelection``: durations are measured by the own clock since the lease was last observed
to change, never by times written in it, so that clocks may differ.

    Follower   tries every 2 s (up to 2.2 times as long); takes a lease that is free or has not
               changed for its duration
    Leader     renews every 2 s; when that has failed for 10 s it stops (``Lost``), 5 s before
               another candidate may take the lease
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from trireme.api.coordination.v1.lease import Lease, LeaseSpec
from trireme.client.client import Client
from trireme.client.codec import Unreadable
from trireme.kit import metrics
from trireme.kit.env import Env
from trireme.machinery import errors, meta, time
from trireme.runtime.recorder import NORMAL, EventRecorder

JITTER = 1.2
# For so long at most the event of the end is tried to be written.
EVENT_SECONDS = 1.0
_ERRORS = (errors.ApiError, OSError, Unreadable)


@dataclass(frozen=True, kw_only=True)
class LeaderElection:
    """The lease, and in seconds its duration, how long its holder tries to renew it, and the retry
    period. Each must be larger than the next. Without ``elect`` there is one copy only.
    ``release``: a leader that ends gives the lease up, rather than to let it expire."""

    elect: bool = True
    namespace: str = "kube-system"
    name: str
    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0
    release: bool = True

    def __post_init__(self) -> None:
        if not self.lease_duration > self.renew_deadline > self.retry_period * JITTER > 0:
            raise ValueError(
                f"leader election: lease duration {self.lease_duration:g} s, renew deadline "
                f"{self.renew_deadline:g} s and {JITTER:g} times the retry period "
                f"{self.retry_period:g} s are not in falling order"
            )


class Lost(Exception):
    """The lease could not be renewed in time, or another candidate has it."""


class Election:
    """One candidate. ``identity`` must differ between candidates: host name and a random part."""

    def __init__(
        self,
        client: Client,
        config: LeaderElection,
        identity: str,
        env: Env,
    ) -> None:
        self._client = client
        self._namespace = config.namespace
        self._name = config.name
        self._identity = identity
        self._env = env
        self._config = config
        self._observed: Lease | None = None
        self._observed_at = 0.0
        self._held_since = 0.0
        self._leads = False
        metrics.gauge(
            env.metrics, "leader_election_master_status", "Whether this candidate leads", ["name"]
        ).labels(config.name).set_function(lambda: float(self._leads))
        self._slow = metrics.counter(
            env.metrics,
            "leader_election_slowpath_total",
            "How often the lease had to be read before it was renewed",
            ["name"],
        ).labels(config.name)

    @property
    def leader(self) -> str:
        """The last observed holder; "" for none."""
        return (self._observed.spec.holderIdentity or "") if self._observed is not None else ""

    @property
    def leads(self) -> bool:
        """Whether this candidate works."""
        return self._leads

    def problem(self) -> str:
        """A health check: what is wrong with a leader that has not renewed the lease for 20 s more
        than it lasts, and still works; "" for nothing."""
        late = self._env.clock.monotonic() - self._held_since - self._config.lease_duration
        return "failed election to renew leadership on lease" if self._leads and late > 20 else ""

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, then run ``work``; returns when that does. Raises ``Lost``."""
        await self._acquire()
        self._env.log.info("%s: leading as %s", self._name, self._identity)
        env = dataclasses.replace(self._env, grace=EVENT_SECONDS)
        recorder = EventRecorder(self._client, self._name, "", env)
        recording = asyncio.ensure_future(recorder.run())
        self._record(recorder, "became leader")
        self._leads = True
        working = asyncio.ensure_future(work())
        renewing = asyncio.ensure_future(self._renew())
        lost = False
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
            lost = renewing.done()
        finally:
            # The work ends before the lease does.
            await _end(working)
            await _end(renewing)
            self._leads = False
            self._record(recorder, "stopped leading")
            await self._release()
            await _end(recording)
        (renewing if lost else working).result()

    def _record(self, recorder: EventRecorder, what: str) -> None:
        message = f"{self._identity} {what}"
        recorder.event(self._observed, NORMAL, "LeaderElection", message)

    async def _acquire(self) -> None:
        clock, config = self._env.clock, self._config
        while not await self._attempt(config.renew_deadline):
            await clock.sleep(config.retry_period * (1.0 + JITTER * self._env.rng.random()))

    async def _renew(self) -> None:
        """Returns never; raises ``Lost``."""
        clock, config = self._env.clock, self._config
        while True:
            await clock.sleep(config.retry_period)
            end = self._held_since + config.renew_deadline
            if await self._attempt(end - clock.monotonic()):
                continue
            if self.leader not in ("", self._identity):
                raise Lost(f"{self._name}: {self.leader} has the lease")
            if clock.monotonic() >= end:
                raise Lost(f"{self._name}: not renewed for {config.renew_deadline:g} s")

    async def _attempt(self, limit: float) -> bool:
        """Take or renew the lease, in ``limit`` seconds; whether this candidate holds it. False
        after an error of the server."""
        # The time before the request: the server may have written long before it answered.
        began = self._env.clock.monotonic()
        try:
            async with asyncio.timeout(max(limit, 0.0)):
                held = await self._take()
        except _ERRORS as error:
            self._env.log.debug("%s: %s", self._name, str(error) or "no answer in time")
            return False
        if held:
            self._held_since = began
        return held

    async def _take(self) -> bool:
        now = self._env.clock.monotonic()
        if self.leader == self._identity and self._valid(now):
            # Optimistic: update the observed lease without a GET first.
            try:
                assert self._observed is not None
                self._note(await self._client.update(self._written(self._observed)))
                return True
            except _ERRORS as error:
                self._env.log.debug("%s: renewing what was seen last: %s", self._name, error)
                self._slow.inc()
        try:
            stored = await self._client.get(Lease, self._name, self._namespace)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
            metadata = meta.ObjectMeta(name=self._name, namespace=self._namespace)
            self._note(await self._client.create(self._written(Lease(metadata=metadata))))
            return True
        if self._observed is None or stored.spec != self._observed.spec:
            self._note(stored)
        if self.leader not in ("", self._identity) and self._valid(now):
            return False
        self._note(await self._client.update(self._written(stored)))
        return True

    def _valid(self, now: float) -> bool:
        """Whether the observed lease has not expired."""
        if self._observed is None:
            return False
        return now < self._observed_at + (self._observed.spec.leaseDurationSeconds or 0)

    def _note(self, lease: Lease) -> None:
        if self._observed is not None and self.leader != (lease.spec.holderIdentity or ""):
            self._env.log.info(
                "%s: the leader is now %s", self._name, lease.spec.holderIdentity or "nobody"
            )
        self._observed, self._observed_at = lease, self._env.clock.monotonic()

    def _written(self, lease: Lease) -> Lease:
        """The lease to write; its resourceVersion refuses it if another candidate wrote."""
        before = lease.spec
        now = time.format_micro(self._env.clock.now())
        ours = before.holderIdentity == self._identity
        transitions = before.leaseTransitions or 0
        if not ours and before.holderIdentity is not None:
            transitions += 1
        spec = LeaseSpec(
            holderIdentity=self._identity,
            leaseDurationSeconds=int(self._config.lease_duration),
            acquireTime=before.acquireTime if ours else now,
            renewTime=now,
            leaseTransitions=transitions,
        )
        return msgspec.structs.replace(lease, spec=spec)

    async def _release(self) -> None:
        """Release the lease, if this candidate holds it, so that the next need not wait."""
        if self.leader != self._identity or self._observed is None or not self._config.release:
            return
        now = time.format_micro(self._env.clock.now())
        spec = LeaseSpec(
            holderIdentity="",
            leaseDurationSeconds=1,
            acquireTime=now,
            renewTime=now,
            leaseTransitions=self._observed.spec.leaseTransitions,
        )
        try:
            async with asyncio.timeout(self._config.renew_deadline):
                released = msgspec.structs.replace(self._observed, spec=spec)
                self._note(await self._client.update(released))
        except _ERRORS as error:
            self._env.log.info("%s: the lease is left to expire: %s", self._name, error)


async def _end(task: asyncio.Future[None]) -> None:
    """Cancel and wait; the task keeps its result."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        # Retrieved, so that the loop does not log it as never retrieved.
        task.exception()

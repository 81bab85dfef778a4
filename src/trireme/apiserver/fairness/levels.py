"""The priority levels of one API server and the flow schemas that lead to them. Pure.

In: PriorityLevelConfigurations and FlowSchemas, requests, the time in seconds. Out: the ``Flow`` of
a request, and the conditions that the schemas should have. The seats of the server are divided
among the levels by their shares; every ten seconds levels borrow what others do not use. What is
broken or refers to nothing is left out, what is mandatory is always there. Called by the filter and
by the post-start hook. Upstream: apiserver ``util/flowcontrol/apf_controller.go``; KEP-1040.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from trireme.api.flowcontrol.v1 import mandatory
from trireme.api.flowcontrol.v1.flowschema_types import FlowSchema
from trireme.api.flowcontrol.v1.prioritylevel_types import (
    PriorityLevelConfiguration,
    PriorityLevelConfigurationSpec,
)
from trireme.apiserver.fairness import allocate, match, shuffle
from trireme.apiserver.fairness.allocate import Demand
from trireme.apiserver.fairness.counts import Counts
from trireme.apiserver.fairness.estimate import MOST_LIST_SEATS, MOST_WRITE_SEATS
from trireme.apiserver.fairness.queueset import EXEMPT, QueueSet, Queuing
from trireme.apiserver.fairness.retry_after import RetryAfter
from trireme.apiserver.request import RequestInfo, User
from trireme.machinery.meta import ObjectMeta

# Seconds between two adjustments of what levels borrow.
PERIOD: Final = 10.0
# How much of a demand is remembered after one period: half of it after five minutes.
_SMOOTHING: Final = 0.977
# After so many periods nothing of an old demand is left.
_FORGOTTEN: Final = 500
# How many answers on which schema matches are kept.
_KEPT: Final = 4096
# One request may take this part of a level's seats.
_MOST_PART: Final = 0.15


_Key = tuple[str | tuple[str, ...], ...]


@dataclass(slots=True, eq=False)
class Level:
    """One priority level: its object, its queues, and how many seats it has by configuration
    (``nominal``, at least ``least`` and at most ``most``) and now (``current``)."""

    config: PriorityLevelConfiguration
    queues: QueueSet
    retry_after: RetryAfter = field(default_factory=RetryAfter)
    # Its object is gone; it goes when it is idle.
    quiescing: bool = False
    # By flow schema.
    counts: dict[str, Counts] = field(default_factory=dict)
    nominal: int = 0
    least: int = 0
    most: int = 0
    current: int = 0
    # Of the seats that were used or waited for in the last period.
    mean: float = 0.0
    deviation: float = 0.0
    smoothed: float = 0.0
    high_watermark: int = 0
    list_seats: int = MOST_LIST_SEATS
    write_seats: int = MOST_WRITE_SEATS

    @property
    def name(self) -> str:
        return self.config.metadata.name

    @property
    def is_exempt(self) -> bool:
        return self.config.spec.type == "Exempt"


class Flow(NamedTuple):
    """Where a request belongs: its schema, its level, and the queues of its flow there."""

    schema: FlowSchema
    level: Level
    distinguisher: str
    hand: tuple[int, ...]
    # The response headers, which name both by uid, and the same as they are written.
    headers: dict[str, str]
    head: str
    is_exempt: bool
    counts: Counts


class Levels:
    """All levels. ``limit`` is the number of seats of the server."""

    def __init__(self, limit: int, now: float) -> None:
        self._limit = limit
        self.by_name: dict[str, Level] = {}
        self._schemas: list[FlowSchema] = []
        self._catch_all: FlowSchema
        self._flows: dict[_Key, Flow] = {}
        # When levels borrow anew.
        self.next_adjustment = now + PERIOD
        self._nominal_sum = 0
        self.configure([], [], now)

    def flow(self, user: User, info: RequestInfo) -> Flow:
        """The flow of a request: that of the first schema that matches it."""
        key: _Key = (
            (user.name, user.groups, info.verb, info.group, info.resource, info.subresource,
             info.namespace)
            if info.resource
            else (user.name, user.groups, info.verb, info.path)
        )  # fmt: skip
        found = self._flows.get(key)
        if found is None:
            if len(self._flows) >= _KEPT:
                self._flows.clear()
            found = self._flows[key] = self._classify(user, info)
        return found

    def _classify(self, user: User, info: RequestInfo) -> Flow:
        schema = next(
            (one for one in self._schemas if match.matches(one, user, info)), self._catch_all
        )
        level = self.by_name[schema.spec.priorityLevelConfiguration.name]
        distinguisher = ""
        hand: tuple[int, ...] = ()
        queuing = level.queues.queuing
        if queuing.queues >= 1:
            method = schema.spec.distinguisherMethod
            if method is not None and queuing.queues > 1:
                distinguisher = user.name if method.type == "ByUser" else info.namespace
            value = shuffle.flow_hash(schema.metadata.name, distinguisher)
            hand = shuffle.hand(value, queuing.queues, queuing.hand_size)
        headers = {
            "X-Kubernetes-Pf-Flowschema-Uid": schema.metadata.uid,
            "X-Kubernetes-Pf-Prioritylevel-Uid": level.config.metadata.uid,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        counts = level.counts.setdefault(schema.metadata.name, Counts())
        return Flow(schema, level, distinguisher, hand, headers, head, level.is_exempt, counts)

    def configure(
        self,
        levels: Iterable[PriorityLevelConfiguration],
        schemas: Iterable[FlowSchema],
        now: float,
    ) -> None:
        """Take over the objects that there are now."""
        desired = {
            name: PriorityLevelConfiguration(metadata=ObjectMeta(name=name), spec=spec)
            for name, spec in mandatory.PRIORITY_LEVELS.items()
        }
        desired |= {one.metadata.name: one for one in levels if _is_whole(one)}
        before, self.by_name = self.by_name, {}
        for name, config in desired.items():
            level = before.get(name) or Level(config, QueueSet(now))
            level.config, level.quiescing = config, False
            self.by_name[name] = level
        by_name = {
            name: FlowSchema(metadata=ObjectMeta(name=name), spec=spec)
            for name, spec in mandatory.FLOW_SCHEMAS.items()
        }
        by_name |= {
            one.metadata.name: one
            for one in schemas
            if one.spec.priorityLevelConfiguration.name in desired
        }
        self._catch_all = by_name[mandatory.CATCH_ALL]
        self._schemas = sorted(
            by_name.values(), key=lambda one: (one.spec.matchingPrecedence, one.metadata.name)
        )
        for name, level in before.items():
            if name not in desired and not level.queues.is_idle:
                # It keeps its share until it has drained.
                level.quiescing = True
                self.by_name[name] = level
        self._flows.clear()
        self._divide(now)

    @property
    def is_waiting(self) -> bool:
        """Whether any request waits."""
        return any(level.queues.requests_waiting for level in self.by_name.values())

    @property
    def has_drained(self) -> bool:
        """Whether a level whose object is gone is idle: configuring takes it away."""
        return any(one.quiescing and one.queues.is_idle for one in self.by_name.values())

    def _divide(self, now: float) -> None:
        """The seats that each level has by its shares."""
        commons = {name: _commons(level.config.spec) for name, level in self.by_name.items()}
        total = sum(shares for shares, _, _ in commons.values())
        self._nominal_sum = 0
        for name, level in self.by_name.items():
            shares, lent, borrowed = commons[name]
            nominal = math.ceil(self._limit * shares / total) if total else 0
            lendable = _rounded(nominal * lent / 100)
            fresh = not level.most
            level.nominal, level.least = nominal, nominal - lendable
            level.most = nominal + (
                self._limit if borrowed is None else _rounded(nominal * borrowed / 100)
            )
            self._nominal_sum += nominal
            queuing = _queuing(level.config.spec)
            if queuing.queues > 0:
                part = min(math.ceil(nominal * _MOST_PART), nominal // queuing.hand_size)
                level.list_seats = max(1, min(part, MOST_LIST_SEATS))
                level.write_seats = max(1, min(part, MOST_WRITE_SEATS))
            if fresh:
                level.current = nominal - lendable // 2
        self._adjust(now)

    def adjust(self, now: float) -> None:
        """Let levels borrow anew for every period that has passed."""
        oldest = now - PERIOD * _FORGOTTEN
        if self.next_adjustment < oldest:
            self.next_adjustment = oldest
        while now >= self.next_adjustment:
            following = self.next_adjustment + PERIOD
            if now < following:
                self._adjust(self.next_adjustment)
            else:
                # Nobody asked in what follows: only its demand counts, which is smoothed.
                self._observe(self.next_adjustment)
            self.next_adjustment = following

    def _observe(self, now: float) -> None:
        """Take in the demand of the period that ends now."""
        for level in self.by_name.values():
            moments = level.queues.demand.reset(now)
            level.high_watermark = moments.most
            if level.is_exempt:
                level.high_watermark = level.queues.most_exempt()
            if moments.seconds > 0:
                level.mean, level.deviation = moments.mean, moments.deviation
                envelope = moments.mean + moments.deviation
                kept = _SMOOTHING * level.smoothed + (1 - _SMOOTHING) * envelope
                level.smoothed = max(envelope, kept)

    def _adjust(self, now: float) -> None:
        self._observe(now)
        left = self._nominal_sum
        limited: list[Level] = []
        for level in self.by_name.values():
            if level.is_exempt:
                level.current = max(level.least, level.high_watermark)
                left -= level.current
            else:
                limited.append(level)
        least = [max(level.least, min(level.nominal, level.high_watermark)) for level in limited]
        for level, seats in zip(limited, self._shares(limited, least, left), strict=True):
            level.current = seats
        for level in self.by_name.values():
            level.queues.configure(now, _queuing(level.config.spec), level.current)

    def _shares(self, limited: list[Level], least: list[int], left: int) -> list[int]:
        """What levels that are limited have now, of the seats that exempt ones leave."""
        configured = sum(level.least for level in limited)
        if left <= configured:
            return [level.least for level in limited]
        if left <= sum(least):
            part = (left - configured) / (sum(least) - configured)
            return [
                level.least + _rounded((low - level.least) * part)
                for level, low in zip(limited, least, strict=True)
            ]
        demands = [
            Demand(low, level.most, max(low, level.smoothed))
            for level, low in zip(limited, least, strict=True)
        ]
        try:
            return [_rounded(share) for share in allocate.allocate(self._nominal_sum, demands)]
        except ValueError:
            return [level.current for level in limited]


def _is_whole(level: PriorityLevelConfiguration) -> bool:
    """Whether type and parts agree; others are treated as absent."""
    spec = level.spec
    exempt = spec.type == "Exempt"
    if exempt != (spec.exempt is not None) or exempt != (level.metadata.name == mandatory.EXEMPT):
        return False
    if (spec.type == "Limited") != (spec.limited is not None):
        return False
    response = None if spec.limited is None else spec.limited.limitResponse
    return response is None or (response.type == "Reject") == (response.queuing is None)


def _commons(spec: PriorityLevelConfigurationSpec) -> tuple[int, int, int | None]:
    """Shares, the percentage that may be lent and the one that may be borrowed (None: any)."""
    if spec.limited is not None:
        limited = spec.limited
        shares = limited.nominalConcurrencyShares or 0
        return shares, limited.lendablePercent or 0, limited.borrowingLimitPercent
    exempt = spec.exempt
    if exempt is None:
        return 0, 0, None
    return exempt.nominalConcurrencyShares or 0, exempt.lendablePercent or 0, None


def _queuing(spec: PriorityLevelConfigurationSpec) -> Queuing:
    if spec.limited is None:
        return Queuing(EXEMPT)
    queuing = spec.limited.limitResponse.queuing
    if queuing is None:
        return Queuing(0)
    return Queuing(queuing.queues, queuing.handSize, queuing.queueLengthLimit)


def _rounded(value: float) -> int:
    """Halves go up, as in Go."""
    return math.floor(value + 0.5)

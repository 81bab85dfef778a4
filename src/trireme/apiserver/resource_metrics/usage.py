"""What a kubelet says that its node and pods have used, and what that is per second. Pure.

In: two answers of /metrics/resource, in Prometheus' text format. Out: usage between the two. The
text is a node's word: lines that are no numbers are passed over. Upstream: metrics-server
``pkg/scraper/client/resource``, ``pkg/storage``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final

# Lines that are read before others have their turn.
AT_ONCE: Final = 500
_LINE: Final = re.compile(
    r"(node|container)_(cpu_usage_seconds_total|memory_working_set_bytes)"
    r"(?:\{([^{}]*)\})? ([0-9.eE+-]+)(?: ([0-9]+))?\Z"
).match
_LABEL: Final = re.compile(r'(\w+)="([^"\\]*)"').findall

Pod = tuple[str, str]  # namespace, name


@dataclass(slots=True)
class Sample:
    """At ``at`` (seconds since 1970) so many seconds of CPU had been used, and bytes were."""

    at: float = 0.0
    cpu: float = math.nan
    memory: float = math.nan

    @property
    def whole(self) -> bool:
        return math.isfinite(self.cpu) and math.isfinite(self.memory)


@dataclass(slots=True)
class Scrape:
    """One node's answer."""

    node: Sample = field(default_factory=Sample)
    pods: dict[Pod, dict[str, Sample]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """``cpu`` in billionths of a core over the ``window`` (seconds) that ended ``at``."""

    at: float
    window: float
    cpu: int
    memory: int


def read(text: str, now: float) -> Generator[None, None, Scrape]:
    """The samples of an answer, some lines a step; those without a time are of ``now``."""
    scrape = Scrape()
    for number, line in enumerate(text.splitlines()):
        if number % AT_ONCE == AT_ONCE - 1:
            yield
        found = _LINE(line)
        if found is None:
            continue
        of, what, labels, value, milliseconds = found.groups()
        if of == "node":
            sample = scrape.node
        else:
            given = dict(_LABEL(labels or ""))
            pod = given.get("namespace", ""), given.get("pod", "")
            containers = scrape.pods.setdefault(pod, {})
            sample = containers.setdefault(given.get("container", ""), Sample())
        try:
            amount = float(value)
        except ValueError:
            continue
        if what.startswith("cpu"):
            sample.cpu = amount
            sample.at = int(milliseconds) / 1000 if milliseconds else now
        else:
            sample.memory = amount
    return scrape


def between(before: Sample, after: Sample) -> Usage | None:
    """What was used between two samples; None where they say nothing: one is incomplete, they are
    of the same time, or of a container that has started anew."""
    if not before.whole or not after.whole:
        return None
    window, cpu = after.at - before.at, after.cpu - before.cpu
    if window <= 0 or cpu < 0 or after.memory < 0:
        return None
    return Usage(after.at, window, round(cpu / window * 1e9), int(after.memory))


def of_pod(before: dict[str, Sample], after: dict[str, Sample]) -> dict[str, Usage] | None:
    """The usage of a pod's containers; None unless that of each is known."""
    found: dict[str, Usage] = {}
    for name, sample in after.items():
        usage = between(before[name], sample) if name in before else None
        if usage is None:
            return None
        found[name] = usage
    return found or None

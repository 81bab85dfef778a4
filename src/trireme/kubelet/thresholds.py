"""Thresholds of eviction: what the configuration says, and what is below them. Pure.

In: the maps of KubeletConfiguration (``evictionHard``, ``evictionSoft``, ...), observations of
signals. Out: ``Threshold`` values. Called by config files, node/status (reservations) and eviction.
Rules: concepts/scheduling-eviction/node-pressure-eviction.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from trireme.machinery import quantity, time
from trireme.machinery.quantity import BINARY_SI, DECIMAL_SI, Quantity

MEMORY = "memory.available"
ALLOCATABLE_MEMORY = "allocatableMemory.available"
NODEFS = "nodefs.available"
NODEFS_INODES = "nodefs.inodesFree"
IMAGEFS = "imagefs.available"
IMAGEFS_INODES = "imagefs.inodesFree"
CONTAINERFS = "containerfs.available"
CONTAINERFS_INODES = "containerfs.inodesFree"
PIDS = "pid.available"

# Upstream's default of evictionHard on Linux.
HARD: Mapping[str, str] = MappingProxyType(
    {
        MEMORY: "100Mi",
        NODEFS: "10%",
        NODEFS_INODES: "5%",
        IMAGEFS: "15%",
        IMAGEFS_INODES: "5%",
    }
)

STORAGE, INODES, PROCESSES = "ephemeral-storage", "inodes", "pids"
RESOURCES: Mapping[str, str] = {
    MEMORY: "memory",
    ALLOCATABLE_MEMORY: "memory",
    NODEFS: STORAGE,
    NODEFS_INODES: INODES,
    IMAGEFS: STORAGE,
    IMAGEFS_INODES: INODES,
    CONTAINERFS: STORAGE,
    CONTAINERFS_INODES: INODES,
    PIDS: PROCESSES,
}
_CONDITIONS = {"memory": "MemoryPressure", PROCESSES: "PIDPressure"}


class Value(msgspec.Struct, frozen=True):
    """A quantity, or a part of the capacity (``fraction``, 0 to 1)."""

    quantity: Quantity | None = None
    fraction: float = 0.0

    def of(self, capacity: int, family: str) -> Quantity:
        if self.quantity is not None:
            return self.quantity
        return quantity.of(int(capacity * self.fraction), family)


class Threshold(msgspec.Struct, frozen=True):
    """Met while less than ``value`` is available; ``grace`` in seconds, 0 for a hard one."""

    signal: str
    value: Value
    grace: float = 0.0
    reclaim: Value | None = None

    @property
    def resource(self) -> str:
        return RESOURCES[self.signal]

    @property
    def condition(self) -> str:
        return _CONDITIONS.get(self.resource, "DiskPressure")

    def quantity(self, capacity: int) -> Quantity:
        return self.value.of(capacity, family(self.signal))

    def is_met(self, of: Observation, *, reclaimed: bool = False) -> bool:
        """``reclaimed``: until the minimum reclaim is available beyond the threshold."""
        least = self.quantity(of.capacity)
        if reclaimed and self.reclaim is not None:
            least += self.reclaim.of(of.capacity, family(self.signal))
        return least > quantity.of(of.available)


class Observation(msgspec.Struct, frozen=True):
    """Bytes, inodes or processes."""

    available: int
    capacity: int


def family(signal: str) -> str:
    return DECIMAL_SI if RESOURCES[signal] in (INODES, PROCESSES) else BINARY_SI


def parse(
    hard: Mapping[str, str],
    soft: Mapping[str, str] = {},
    grace: Mapping[str, str] = {},
    reclaim: Mapping[str, str] = {},
    *,
    enforce_allocatable: bool = True,
) -> tuple[Threshold, ...]:
    """Raises ValueError in upstream's words. ``enforce_allocatable``: the hard threshold of memory
    also counts below the cgroup of all pods."""
    graces = {_known(signal): _grace(text) for signal, text in grace.items()}
    least = {_known(signal): _reclaim(signal, text) for signal, text in reclaim.items()}
    found = [Threshold(s, a, 0.0, least.get(s)) for s, a in _values(hard)]
    for signal, value in _values(soft):
        if signal not in graces:
            raise ValueError(
                f"grace period must be specified for the soft eviction threshold {signal}"
            )
        found.append(Threshold(signal, value, graces[signal], least.get(signal)))
    if enforce_allocatable:
        found += [
            msgspec.structs.replace(threshold, signal=ALLOCATABLE_MEMORY)
            for threshold in found
            if threshold.signal == MEMORY and not threshold.grace
        ]
    return tuple(found)


def with_container_fs(
    given: Iterable[Threshold], *, image_fs: bool, split: bool
) -> tuple[Threshold, ...]:
    """Those of the containers' file system are those of the one that it is on: with a file system
    of its own for images alone (``split``) or for nothing, the node's; else the images'."""
    own = (CONTAINERFS, CONTAINERFS_INODES)
    like = {NODEFS: own[0], NODEFS_INODES: own[1]}
    if image_fs and not split:
        like = {IMAGEFS: own[0], IMAGEFS_INODES: own[1]}
    kept = [threshold for threshold in given if threshold.signal not in own]
    return (
        *kept,
        *(msgspec.structs.replace(t, signal=like[t.signal]) for t in kept if t.signal in like),
    )


def reserved(hard: Mapping[str, str], capacity: Mapping[str, str]) -> dict[str, Quantity]:
    """What of each resource the hard thresholds keep from pods."""
    of = {MEMORY: "memory", NODEFS: STORAGE}
    return {
        of[signal]: value.of(quantity.parse(capacity.get(of[signal], "0")).value(), BINARY_SI)
        for signal, value in _values(hard)
        if signal in of
    }


def _values(statements: Mapping[str, str]) -> Iterable[tuple[str, Value]]:
    for signal, text in statements.items():
        _known(signal)
        if not text.endswith("%"):
            value = quantity.parse(text)
            if value <= quantity.of(0):
                raise ValueError(f"eviction threshold {signal} must be positive: {value}")
            yield signal, Value(value)
        elif text not in ("0%", "100%"):  # which turn it off
            part = _fraction(text)
            if part < 0:
                raise ValueError(f"eviction percentage threshold {signal} must be >= 0%: {text}")
            if part > 1:
                raise ValueError(f"eviction percentage threshold {signal} must be <= 100%: {text}")
            yield signal, Value(fraction=part)


def _known(signal: str) -> str:
    if signal not in RESOURCES:
        raise ValueError(f"unsupported eviction signal {signal}")
    return signal


def _grace(text: str) -> float:
    seconds = time.parse_duration(text)
    if seconds < 0:
        raise ValueError(
            f"invalid eviction grace period specified: {text}, must be a positive value"
        )
    return seconds


def _reclaim(signal: str, text: str) -> Value:
    if text.endswith("%"):
        part = _fraction(text)
        if part <= 0:
            raise ValueError(
                f"eviction percentage minimum reclaim {signal} must be positive: {text}"
            )
        return Value(fraction=part)
    value = quantity.parse(text)
    if value < quantity.of(0):
        raise ValueError(f"negative eviction minimum reclaim specified for {signal}")
    return Value(value)


def _fraction(text: str) -> float:
    """Single precision, as upstream's: messages show the product with the capacity."""
    part: float = struct.unpack("f", struct.pack("f", float(text.rstrip("%")) / 100))[0]
    return part

"""The table of bench/RESULTS.md: one row per measure, kept when another script writes its own.

In: ``Row`` values. Out: the table on standard output, and in the file when it is to be written.
"""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("RESULTS.md")
_HEAD = """# Results

What was last measured, by `python bench/run.py --write [--upstream DIR]` (one API server, alone),
`bench/fairness.py` (small requests beside heavy ones), `bench/pods.py` (kubelets),
`bench/controllers.py` (all controllers) and `bench/cluster.py` (a whole cluster) likewise. The
ratio says how many times better ours is than upstream in the same run on the same machine: that is
what counts, absolute figures move with the machine. A goal is that of the design's budgets.
`missed` marks the goals not reached.

"""
_COLUMNS = ("measure", "goal", "ours", "upstream", "ratio", "date, machine")


@dataclass(frozen=True)
class Row:
    """One measure. ``higher`` says whether more is better; ``goal`` is in the same unit."""

    measure: str
    unit: str
    ours: float
    goal: float | None = None
    upstream: float | None = None
    higher: bool = False

    def cells(self, stamp: str) -> tuple[str, ...]:
        """The row as text."""
        mine = self._text(self.ours)
        if self.goal is not None and (self.ours < self.goal) is self.higher:
            mine += " (missed)"
        ratio = ""
        if self.upstream and self.ours:
            better = self.ours / self.upstream if self.higher else self.upstream / self.ours
            ratio = f"{better:.2f}"
        return (
            self.measure,
            "" if self.goal is None else self._text(self.goal),
            mine,
            "" if self.upstream is None else self._text(self.upstream),
            ratio,
            stamp,
        )

    def _text(self, value: float) -> str:
        if self.unit == "s" and value < 0.1:
            return f"{value * 1e3:.{1 if value >= 0.01 else 2}f} ms"
        digits = 0 if value >= 100 else 1 if value >= 10 else 2
        return f"{value:,.{digits}f} {self.unit}"


def show(rows: list[Row], busy: float, *, write: bool) -> None:
    """Print the rows; put them into the file, in the place of those with the same name.

    ``busy``: the machine's load average before anything was measured, as what else ran counts.
    """
    stamp = f"{time.strftime('%Y-%m-%d')}, {machine()}, load before {busy:.1f}"
    fresh = [row.cells(stamp) for row in rows]
    print(_table(fresh))
    if write:
        known = {cells[0]: cells for cells in _read()}
        known |= {cells[0]: cells for cells in fresh}
        FILE.write_text(_HEAD + _table(list(known.values())))


def machine() -> str:
    """Cores, memory and processor."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, Python {platform.python_version()}"


def _read() -> list[tuple[str, ...]]:
    if not FILE.exists():
        return []
    lines = [line for line in FILE.read_text().splitlines() if line.startswith("|")][2:]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = [_COLUMNS, tuple("---" for _ in _COLUMNS), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)

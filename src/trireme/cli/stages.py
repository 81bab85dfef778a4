"""Stages of a longer command, shown as they run, each with its time.

In: the names of stages, as ``with stages.stage("network"):`` around the work. Out: lines on the
terminal; where it is none, plain lines without movement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


class Stages:
    """The stages of one command. ``monotonic`` gives seconds; tests pass their own. ``began`` is
    when the command did, now by default."""

    def __init__(
        self, console: Console, monotonic: Callable[[], float], began: float | None = None
    ) -> None:
        self._console = console
        self._monotonic = monotonic
        self._began = monotonic() if began is None else began
        self.times: list[tuple[str, float]] = []

    @property
    def total(self) -> float:
        """Seconds since the command began."""
        return self._monotonic() - self._began

    @contextmanager
    def stage(self, text: str) -> Iterator[None]:
        """Show a stage while it runs, and its time when it is done."""
        began = self._monotonic()
        with self._console.status(f"{text} …"):
            yield
        self.done(text, self._monotonic() - began)

    def done(self, text: str, seconds: float) -> None:
        """Show a stage that is over."""
        self.times.append((text, seconds))
        self._console.print(f"[green]✓[/green] {text} [dim]{seconds:6.2f} s[/dim]")

    def say(self, text: str) -> None:
        """A line between stages."""
        self._console.print(text)

"""The interface of every component: an async function that the composition root runs.

In: a config of its own (frozen, complete: nothing is read from argv, environment or globals) and an
``Env`` (clock, rng, log, metrics). It owns one task group, calls ``env.started()`` once it is
ready, and ends by cancellation, leaving nothing behind. ``kit.env.start`` runs one in a task
group and returns when it has started.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from trireme.kit.env import Env

C = TypeVar("C", contravariant=True)


class Component(Protocol[C]):
    """``async def run(config, env) -> None`` of a package."""

    async def __call__(self, config: C, env: Env) -> None: ...


class Running(Protocol):
    """A part of a component: a ``runtime.controller.Controller``, or a loop of its own."""

    async def run(self) -> None:
        """Work until cancelled."""

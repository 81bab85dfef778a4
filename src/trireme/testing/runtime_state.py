"""The state of a fake runtime as a value, to be stored and given to another one.

In: what ``fake_cri`` holds. Out: structs of plain values. Times are nanoseconds since 1970.
"""

from __future__ import annotations

import msgspec

from trireme.kubelet.cri import model


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """The behaviour of one container. Times in seconds; ``run_seconds`` None runs until stopped."""

    run_seconds: float | None = None
    exit_code: int = 0
    reason: str = ""
    start_seconds: float = 0.0
    create_error: str = ""
    start_error: str = ""
    # How long it takes to end after the stop signal; longer than the grace means SIGKILL.
    stop_seconds: float = 0.0
    stop_code: int = 0
    log: tuple[str, ...] = ()
    termination_message: str = ""


class SandboxRecord(msgspec.Struct, frozen=True):
    """A sandbox of an earlier runtime."""

    id: str
    config: model.SandboxConfig
    ip: str
    created_at: int
    handler: str
    state: int


class ContainerRecord(msgspec.Struct, frozen=True):
    """A container of an earlier runtime."""

    id: str
    sandbox: str
    config: model.ContainerConfig
    behaviour: Behaviour
    state: int
    created_at: int
    started_at: int
    finished_at: int
    exit_code: int
    reason: str


class State(msgspec.Struct, frozen=True):
    """A runtime at an instant. ``addresses``: so many addresses of its network were given away."""

    sandboxes: list[SandboxRecord]
    containers: list[ContainerRecord]
    images: dict[str, model.Image]
    next_id: int
    network: str
    addresses: int

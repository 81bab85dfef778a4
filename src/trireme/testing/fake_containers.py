"""Containers and sandboxes of the fake runtime, to be inspected by tests.

In: what the kubelet configured, how it behaves. Out: objects that ``fake_cri`` moves through their
life, and their records, which outlast a runtime.
"""

from __future__ import annotations

import asyncio

from trireme.kubelet.cri import model
from trireme.kubelet.cri.model import ContainerState, SandboxState
from trireme.testing.runtime_state import Behaviour, ContainerRecord, SandboxRecord


class FakeContainer:
    """One container: ``config`` is that of the kubelet."""

    def __init__(
        self,
        id: str,
        sandbox: FakeSandbox,
        config: model.ContainerConfig,
        behaviour: Behaviour,
        now: int,
    ) -> None:
        self.id = id
        self.sandbox = sandbox
        self.config = config
        self.behaviour = behaviour
        self.state = int(ContainerState.CREATED)
        self.created_at = now
        self.started_at = 0
        self.finished_at = 0
        self.exit_code = 0
        self.reason = ""
        self.stopping = asyncio.Event()
        self.stopped = asyncio.Event()
        self.hurry = asyncio.Event()
        self.grace = 0.0
        self.forced: int | None = None

    @property
    def name(self) -> str:
        return self.config.metadata.name

    def record(self) -> ContainerRecord:
        """What there is of it now."""
        return ContainerRecord(
            self.id, self.sandbox.id, self.config, self.behaviour, self.state, self.created_at,
            self.started_at, self.finished_at, self.exit_code, self.reason,
        )  # fmt: skip

    @staticmethod
    def of(record: ContainerRecord, sandbox: FakeSandbox) -> FakeContainer:
        """The container that was recorded."""
        made = FakeContainer(record.id, sandbox, record.config, record.behaviour, record.created_at)
        made.state, made.exit_code, made.reason = record.state, record.exit_code, record.reason
        made.started_at, made.finished_at = record.started_at, record.finished_at
        if made.state == ContainerState.EXITED:
            made.stopped.set()
        return made


class FakeSandbox:
    """One pod sandbox."""

    def __init__(
        self, id: str, config: model.SandboxConfig, ip: str, now: int, handler: str = ""
    ) -> None:
        self.id = id
        self.handler = handler
        self.config = config
        self.ip = ip
        self.created_at = now
        self.state = int(SandboxState.READY)

    def record(self) -> SandboxRecord:
        """What there is of it now."""
        return SandboxRecord(
            self.id, self.config, self.ip, self.created_at, self.handler, self.state
        )

    @staticmethod
    def of(record: SandboxRecord) -> FakeSandbox:
        """The sandbox that was recorded."""
        made = FakeSandbox(record.id, record.config, record.ip, record.created_at, record.handler)
        made.state = record.state
        return made

"""An API server, and webhooks that it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.apiserver.conftest import Asker

from trireme.testing import control_plane

HOOKS = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"


class HookAsker(Asker):
    async def configure(self, given: dict[str, Any]) -> Any:
        """Store a webhook configuration."""
        plural = f"{given['kind'].lower()}s"
        return await self.must("POST", f"{HOOKS}/{plural}", given)


@pytest.fixture
async def ask() -> AsyncIterator[HookAsker]:
    async with control_plane.api_server() as server:
        yield HookAsker(server)


def config_map(name: str = "m", **given: Any) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, **given}

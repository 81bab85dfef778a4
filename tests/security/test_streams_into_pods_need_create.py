"""exec, attach and port-forward need ``create`` on the subresource, also over a WebSocket, a GET.

Gate AuthorizePodWebsocketUpgradeCreatePermission, on in v1.36; without it ``get`` is enough.
"""

from __future__ import annotations

from typing import Any

import pytest

from trireme.kit.env import Env
from trireme.testing import virtual

RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
GATE = "AuthorizePodWebsocketUpgradeCreatePermission"
SOCKET = {"connection": "Upgrade", "upgrade": "websocket"}


def rights(*verbs: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = ["pods/exec", "pods/attach", "pods/portforward"]
    rule = {"apiGroups": [""], "resources": parts, "verbs": list(verbs)}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jo"}
    return (
        {"metadata": {"name": "r"}, "rules": [rule]},
        {"metadata": {"name": "r"}, "roleRef": ref, "subjects": [subject]},
    )


@pytest.mark.parametrize("part", ["exec", "attach", "portforward"])
@pytest.mark.parametrize("headers", [SOCKET, {}], ids=["websocket", "plain"])
@virtual.test()
async def test_get_alone(env: Env, asking: Any, part: str, headers: dict[str, str]) -> None:
    async with asking(env) as ask:
        role, binding = rights("get")
        await ask.must("POST", f"{RBAC}/roles", role)
        await ask.must("POST", f"{RBAC}/rolebindings", binding)
        path = f"/api/v1/namespaces/default/pods/exp/{part}"
        status, answer = await ask.as_user("jo")("GET", path, headers=headers)
        assert (status, answer["message"]) == (403, 'pods "exp" is forbidden: ')
        assert answer["details"] == {"name": "exp", "kind": "pods"}


@pytest.mark.parametrize("verbs", [("get", "create"), ("get",)])
@pytest.mark.parametrize("on", [True, False])
@virtual.test()
async def test_with_create_or_without_the_gate(
    env: Env, asking: Any, verbs: tuple[str, ...], on: bool
) -> None:
    async with asking(env, feature_gates={GATE: on}) as ask:
        role, binding = rights(*verbs)
        await ask.must("POST", f"{RBAC}/roles", role)
        await ask.must("POST", f"{RBAC}/rolebindings", binding)
        path = "/api/v1/namespaces/default/pods/exp/portforward"
        status, _ = await ask.as_user("jo")("GET", path)
        # There is no such pod: whoever is told so has passed.
        assert status == (403 if on and verbs == ("get",) else 404)

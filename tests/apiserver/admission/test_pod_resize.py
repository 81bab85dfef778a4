"""PodResizeValidator: what a pod may be resized to, against the real server."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.kit.env import Env
from trireme.testing import virtual

PODS = "/api/v1/namespaces/default/pods"
MERGE = {"content-type": "application/strategic-merge-patch+json"}


def node(name: str, **labels: str) -> dict[str, Any]:
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "10"}},
    }


def pod(name: str, node: str = "n") -> dict[str, Any]:
    resources = {"requests": {"cpu": "500m", "memory": "100Mi"}}
    containers = [{"name": kind, "image": "i", "resources": resources} for kind in "ab"]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "spec": {"nodeName": node, "containers": containers}
        if node
        else {"containers": containers},
    }


def resized(**requests: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "a", "resources": {"requests": requests}}]}}


async def resize(ask: Any, name: str, change: dict[str, Any]) -> tuple[int, Any]:
    got: tuple[int, Any] = await ask("PATCH", f"{PODS}/{name}/resize", change, MERGE)
    return got


@pytest.mark.parametrize(
    ("requests", "lacking"),
    [
        ({"cpu": "1500m"}, ""),
        ({"cpu": "1501m"}, "cpu, requested: 2001, allocatable: 2000"),
        ({"memory": "1000Mi"}, "memory, requested: 1153433600, allocatable: 1073741824"),
        (
            {"cpu": "3", "memory": "2Gi"},
            "cpu, requested: 3500, allocatable: 2000; "
            "memory, requested: 2252341248, allocatable: 1073741824",
        ),
    ],
)
def test_no_more_than_the_node_has(asking: Any, requests: dict[str, str], lacking: str) -> None:
    async def story(env: Env) -> None:
        async with asking(env) as ask:
            await ask.must("POST", "/api/v1/nodes", node("n"))
            await ask.must("POST", PODS, pod("p"))
            status, answer = await resize(ask, "p", resized(**requests))
            if not lacking:
                assert status == 200, answer
                return
            assert status == 403
            detail = f"node didn't have enough allocatable resources: {lacking}"
            assert answer["message"] == f'pods "p" is forbidden: {detail}'
            assert answer["details"]["causes"] == [{"reason": "NodeCapacity"}]

    virtual.run(story)


@virtual.test()
async def test_a_node_that_is_not_there_or_is_no_linux(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", "/api/v1/nodes", node("w", **{"kubernetes.io/os": "windows"}))
        for name in ("w", "gone"):
            await ask.must("POST", PODS, pod(name, node=name))
        _, answer = await resize(ask, "gone", resized(cpu="1"))
        assert answer["message"] == 'pods "gone" is forbidden: node "gone" not found'
        _, answer = await resize(ask, "w", resized(cpu="1"))
        assert answer["message"] == (
            'pods "w" is forbidden: pod resize is only supported on linux nodes, node "w" is '
            '"windows"'
        )
        assert answer["details"]["causes"] == [{"reason": "UnsupportedPlatform"}]


@virtual.test()
async def test_a_pod_without_a_node_may_become_anything(env: Env, asking: Any) -> None:
    async with asking(env) as ask:
        await ask.must("POST", PODS, pod("p", node=""))
        assert (await resize(ask, "p", resized(cpu="100")))[0] == 200

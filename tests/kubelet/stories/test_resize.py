"""Pods that are resized while they run: what is allocated, what is in force, what is said."""

from __future__ import annotations

from typing import Any

from tests.kubelet.harness import Node, container, play, pod

from trireme.api.core import v1 as core

MI = 1 << 20


def sized(name: str, cpu: str, memory: str, limits: bool = True, **fields: Any) -> core.Container:
    amounts = {"cpu": cpu, "memory": memory}
    resources = core.ResourceRequirements(requests=amounts, limits=amounts if limits else {})
    return container(name, resources=resources, **fields)


async def resize(node: Node, name: str, *containers: core.Container, init: bool = False) -> None:
    changed = [
        {
            "name": c.name,
            "resources": {"requests": c.resources.requests, "limits": c.resources.limits},
        }
        for c in containers
    ]
    change = {"spec": {"initContainers" if init else "containers": changed}}
    await patch(node, name, change)


async def patch(node: Node, name: str, change: Any) -> None:
    made = await node.api.client.patch(
        core.Pod, name, "default", change, kind="strategic", subresource="resize"
    )
    # Until it is on our screen, whether or not a kubelet runs.
    while node.api.pod(name).metadata.generation < made.metadata.generation:
        await node.env.clock.sleep(0.001)


def condition(node: Node, name: str, kind: str) -> core.PodCondition | None:
    return next((c for c in node.api.pod(name).status.conditions if c.type == kind), None)


def settled(node: Node, name: str) -> bool:
    """The newest generation is in force."""
    status = node.api.pod(name).status
    return status.observedGeneration == node.api.pod(name).metadata.generation and not any(
        c.type in ("PodResizePending", "PodResizeInProgress") for c in status.conditions
    )


def group(node: Node, name: str) -> Any:
    uid = node.api.pod(name).metadata.uid
    return next(limits for path, limits in node.cgroups.groups.items() if path.endswith(uid))


async def running(node: Node, name: str, *containers: core.Container, **spec: Any) -> None:
    await node.api.put(pod(name, *containers, **spec))
    await node.until(lambda: node.condition(name, "Ready") == "True", 10)


def test_a_resize_changes_the_cgroups_of_a_running_container() -> None:
    async def story(node: Node) -> None:
        await running(node, "web", sized("main", "1", "100Mi"))
        status = node.container("web")
        assert status.allocatedResources == {"cpu": "1", "memory": "100Mi"}
        assert status.resources.limits == {"cpu": "1", "memory": "100Mi"}
        before = node.cri.running("web", "main")
        await resize(node, "web", sized("main", "500m", "200Mi"))
        await node.until(lambda: settled(node, "web"), 5)
        after = node.cri.running("web", "main")
        assert after.id == before.id
        linux = after.config.linux.resources
        assert (linux.cpu_quota, linux.cpu_shares) == (50_000, 512)
        assert linux.memory_limit_in_bytes == 200 * MI
        assert (group(node, "web").cpu_quota, group(node, "web").memory) == (50_000, 200 * MI)
        status = node.container("web")
        assert status.restartCount == 0
        assert status.resources.requests == status.resources.limits
        assert status.resources.limits == status.allocatedResources
        assert status.allocatedResources == {"cpu": "500m", "memory": "200Mi"}
        assert node.api.pod("web").status.resources.limits == {"cpu": "500m", "memory": "200Mi"}
        assert node.api.messages("web", "ResizeStarted") == [
            'Pod resize started: {"containers":[{"name":"main","resources":{"limits":'
            '{"cpu":"500m","memory":"200Mi"},"requests":{"cpu":"500m","memory":"200Mi"}}}],'
            '"generation":2}'
        ]
        await node.until(lambda: node.api.messages("web", "ResizeCompleted"), 5)

    play(story)


def test_other_words_for_the_same_amounts_change_nothing() -> None:
    async def story(node: Node) -> None:
        await running(node, "web", sized("main", "1", "1Gi"))
        await resize(node, "web", sized("main", "1000m", "1024Mi"))
        await node.until(lambda: settled(node, "web"), 5)
        assert "ResizeStarted" not in node.api.reasons("web")

    play(story)


def test_a_policy_restarts_the_container_and_not_the_others() -> None:
    async def story(node: Node) -> None:
        policy = core.ContainerResizePolicy(resourceName="memory", restartPolicy="RestartContainer")
        await running(
            node,
            "web",
            sized("a", "100m", "100Mi", resizePolicy=[policy]),
            sized("b", "100m", "100Mi"),
        )
        await resize(node, "web", sized("a", "200m", "100Mi"))
        await node.until(lambda: settled(node, "web"), 5)
        assert [node.container("web", i).restartCount for i in (0, 1)] == [0, 0]
        await resize(node, "web", sized("a", "200m", "150Mi"), sized("b", "200m", "50Mi"))
        await node.until(
            lambda: settled(node, "web") and node.condition("web", "Ready") == "True", 60
        )
        assert [node.container("web", i).restartCount for i in (0, 1)] == [1, 0]
        assert node.container("web", 0).resources.limits["memory"] == "150Mi"
        assert group(node, "web").memory == 200 * MI
        assert any(
            message.startswith("Container a resize requires restart")
            for message in node.api.messages("web", "Killing")
        )

    play(story)


def test_a_sidecar_is_resized_too() -> None:
    async def story(node: Node) -> None:
        await running(
            node,
            "web",
            sized("main", "100m", "100Mi"),
            initContainers=[sized("side", "100m", "100Mi", restartPolicy="Always")],
        )
        await resize(node, "web", sized("side", "300m", "200Mi"), init=True)
        await node.until(lambda: settled(node, "web"), 5)
        (status,) = node.api.pod("web").status.initContainerStatuses
        assert status.resources.limits == {"cpu": "300m", "memory": "200Mi"}
        assert status.restartCount == 0
        linux = node.cri.running("web", "side").config.linux.resources
        assert linux.memory_limit_in_bytes == 200 * MI

    play(story)


def test_a_resize_waits_until_another_pod_makes_room() -> None:
    async def story(node: Node) -> None:
        await running(node, "big", sized("main", "3", "100Mi"))
        await running(node, "low", sized("main", "500m", "100Mi"), priority=None)
        await running(node, "web", sized("main", "500m", "100Mi"))
        await resize(node, "web", sized("main", "3", "100Mi"))
        pending = await node.until(lambda: condition(node, "web", "PodResizePending"), 5)
        assert (pending.status, pending.reason) == ("True", "Deferred")
        assert pending.message == (
            "Node didn't have enough resource: cpu, requested: 3000, used: 3500, capacity: 4000"
        )
        assert pending.observedGeneration == node.api.pod("web").metadata.generation
        assert node.container("web").allocatedResources["cpu"] == "500m"
        assert node.cri.running("web", "main").config.linux.resources.cpu_quota == 50_000
        (message,) = node.api.messages("web", "ResizeDeferred")
        assert message.startswith("Pod resize Deferred: {") and "Node didn't have" in message
        await node.api.delete_pod("big", grace=0)
        await node.until(lambda: settled(node, "web"), 40)
        assert node.container("web").allocatedResources["cpu"] == "3"

    play(story, capacity={"cpu": "4"})


def test_a_reverted_resize_is_pending_no_longer() -> None:
    async def story(node: Node) -> None:
        await running(node, "big", sized("main", "3", "100Mi"))
        await running(node, "web", sized("main", "500m", "100Mi"))
        await resize(node, "web", sized("main", "3", "100Mi"))
        await node.until(lambda: condition(node, "web", "PodResizePending"), 5)
        await resize(node, "web", sized("main", "500m", "100Mi"))
        await node.until(lambda: settled(node, "web"), 5)
        assert "ResizeStarted" not in node.api.reasons("web")

    play(story, capacity={"cpu": "4"})


def test_an_allocation_survives_the_kubelet_and_so_does_a_pending_resize() -> None:
    async def story(node: Node) -> None:
        await running(node, "big", sized("main", "3", "100Mi"))
        await running(node, "web", sized("main", "500m", "100Mi"))
        await running(node, "more", sized("main", "100m", "100Mi"))
        await resize(node, "web", sized("main", "3", "100Mi"))
        await node.until(lambda: condition(node, "web", "PodResizePending"), 5)
        await node.stop()
        # While no kubelet runs: it must not take this for what is in force.
        await resize(node, "more", sized("main", "200m", "100Mi"))
        await node.start()
        await node.until(lambda: node.container("more").allocatedResources["cpu"] == "200m", 10)
        await node.until(lambda: settled(node, "more"), 10)
        assert node.cri.running("more", "main").config.linux.resources.cpu_quota == 20_000
        assert condition(node, "web", "PodResizePending").reason == "Deferred"
        assert node.container("web").allocatedResources["cpu"] == "500m"
        assert node.container("web").restartCount == 0
        await node.api.delete_pod("big", grace=0)
        await node.until(lambda: settled(node, "web"), 40)
        assert node.cri.running("web", "main").config.linux.resources.cpu_quota == 300_000

    play(story, capacity={"cpu": "4"})


def test_memory_does_not_shrink_below_what_is_used() -> None:
    async def story(node: Node) -> None:
        await running(node, "web", sized("main", "100m", "100Mi"))
        path = next(path for path in node.cgroups.groups if "/pod" in path)
        node.cgroups.used[path] = 80 * MI
        await resize(node, "web", sized("main", "100m", "50Mi"))
        found = await node.until(
            lambda: (
                (c := condition(node, "web", "PodResizeInProgress")) and c.reason == "Error" and c
            ),
            5,
        )
        assert found.message == (
            "cannot decrease memory limits: attempting to set pod memory limit "
            f"({50 * MI}) below current usage ({80 * MI})"
        )
        assert node.container("web").allocatedResources["memory"] == "50Mi"
        assert node.container("web").resources.limits["memory"] == "100Mi"
        assert group(node, "web").memory == 100 * MI
        assert node.api.messages("web", "ResizeError")
        node.cgroups.used[path] = 10 * MI
        await node.until(lambda: settled(node, "web"), 60)
        assert group(node, "web").memory == 50 * MI

    play(story)


def test_an_error_of_the_runtime_is_reported_and_retried() -> None:
    async def story(node: Node) -> None:
        await running(node, "web", sized("main", "100m", "100Mi"))
        node.cri.update_problem = "no such device"
        await resize(node, "web", sized("main", "200m", "100Mi"))
        found = await node.until(
            lambda: (
                (c := condition(node, "web", "PodResizeInProgress")) and c.reason == "Error" and c
            ),
            5,
        )
        assert "no such device" in found.message
        node.cri.update_problem = ""
        await node.until(lambda: settled(node, "web"), 60)
        assert node.container("web").resources.limits["cpu"] == "200m"

    play(story)


def test_pod_level_resources_are_resized() -> None:
    async def story(node: Node) -> None:
        amounts = {"cpu": "1", "memory": "200Mi"}
        await running(
            node,
            "web",
            container("main"),
            resources=core.ResourceRequirements(requests=amounts, limits=amounts),
        )
        assert node.api.pod("web").status.allocatedResources == amounts
        bigger = {"cpu": "2", "memory": "300Mi"}
        await patch(node, "web", {"spec": {"resources": {"requests": bigger, "limits": bigger}}})
        await node.until(lambda: settled(node, "web"), 10)
        status = node.api.pod("web").status
        assert status.allocatedResources == bigger and status.resources.limits == bigger
        assert (group(node, "web").cpu_quota, group(node, "web").memory) == (200_000, 300 * MI)
        linux = node.cri.running("web", "main").config.linux.resources
        assert linux.memory_limit_in_bytes == 300 * MI

    play(story)

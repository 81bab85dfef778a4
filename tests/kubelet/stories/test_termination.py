"""Pods that end: grace periods, hooks, and what a restarted kubelet finds."""

from __future__ import annotations

from tests.kubelet.harness import Node, container, play, pod

from trireme.api.core import v1 as core
from trireme.testing.fake_cri import Behaviour


def test_grace_period_and_sigkill() -> None:
    async def story(node: Node) -> None:
        node.cri.set_behaviour("slow", "main", Behaviour(stop_seconds=100))
        await node.api.put(pod("slow"))
        await node.until(lambda: node.phase("slow") == "Running", 5)
        begin = node.env.clock.monotonic()
        await node.api.delete_pod("slow", grace=20)
        await node.until(lambda: not node.api.has_pod("slow"), 40)
        assert 19 <= node.env.clock.monotonic() - begin <= 22

    play(story)


def test_a_shorter_grace_overtakes() -> None:
    async def story(node: Node) -> None:
        node.cri.set_behaviour("slow", "main", Behaviour(stop_seconds=1000))
        await node.api.put(pod("slow"))
        await node.until(lambda: node.phase("slow") == "Running", 5)
        await node.api.delete_pod("slow", grace=600)
        await node.env.clock.sleep(5)
        await node.api.delete_pod("slow", grace=3)
        await node.until(lambda: not node.api.has_pod("slow"), 10)

    play(story)


def test_pre_stop_runs_within_the_grace() -> None:
    async def story(node: Node) -> None:
        spec = container(
            "main",
            lifecycle=core.Lifecycle(
                preStop=core.LifecycleHandler(sleep=core.SleepAction(seconds=7))
            ),
        )
        await node.api.put(pod("web", spec))
        await node.until(lambda: node.phase("web") == "Running", 5)
        begin = node.env.clock.monotonic()
        await node.api.delete_pod("web")
        await node.until(lambda: not node.api.has_pod("web"), 40)
        assert 7 <= node.env.clock.monotonic() - begin <= 9

    play(story)


def test_a_restarted_kubelet_adopts_its_containers() -> None:
    async def story(node: Node) -> None:
        await node.api.put(pod("web"))
        await node.until(lambda: node.condition("web", "Ready") == "True", 5)
        before = node.cri.running("web", "main").id
        observed = node.api.pod("web").status
        await node.stop()
        await node.api.put(pod("while-away"))
        await node.start()
        await node.until(lambda: node.phase("while-away") == "Running", 5)
        assert node.cri.running("web", "main").id == before
        assert node.api.pod("web").status == observed

    play(story)


def test_pods_deleted_while_the_kubelet_was_away_are_stopped() -> None:
    async def story(node: Node) -> None:
        await node.api.put(pod("web"))
        await node.until(lambda: node.phase("web") == "Running", 5)
        await node.stop()
        await node.api.delete_pod("web", grace=0)
        await node.start()
        await node.until(lambda: not node.cri.sandboxes, 20)
        assert node.host.list("/var/lib/kubelet/pods") == []

    play(story)


def test_a_pod_deleted_while_its_image_is_pulled() -> None:
    async def story(node: Node) -> None:
        node.cri.pull_seconds = 1000
        await node.api.put(pod("web", container("main", image="huge")))
        await node.until(lambda: "Pulling" in node.api.reasons("web"), 5)
        assert node.api.pod("web").status.podIP
        await node.api.delete_pod("web")
        await node.until(lambda: not node.api.has_pod("web"), 5)
        await node.until(lambda: not node.cri.sandboxes, 5)

    play(story)


def test_old_logs_go_with_their_containers() -> None:
    async def story(node: Node) -> None:
        node.cri.set_behaviour("web", "main", Behaviour(run_seconds=1, exit_code=1, log=("x",)))
        await node.api.put(pod("web"))
        await node.until(lambda: node.api.has_pod("web"), 1)
        await node.env.clock.sleep(1500)
        uid = node.api.pod("web").metadata.uid
        logs = node.host.list(f"/var/log/pods/default_web_{uid}/main")
        assert 1 <= len(logs) <= 2

    play(story)

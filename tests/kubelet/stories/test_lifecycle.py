"""Pods from start to end, on a fake runtime: init containers, restarts and deadlines."""

from __future__ import annotations

import random

from tests.kubelet.harness import Node, container, play, pod, waiting_message, waiting_reason

from trireme.api.node.v1.runtimeclass import RuntimeClass
from trireme.testing.fake_cri import Behaviour


def test_a_pod_runs_is_ready_and_goes() -> None:
    async def story(node: Node) -> None:
        await node.api.put(pod("web"))
        await node.until(lambda: node.condition("web", "Ready") == "True", 2)
        status = node.api.pod("web").status
        assert status.phase == "Running"
        assert status.podIP and status.hostIP == "192.0.2.1"
        assert status.qosClass == "BestEffort"
        assert status.containerStatuses[0].state.running is not None
        assert node.condition("web", "PodReadyToStartContainers") == "True"
        assert {status.observedGeneration, *(c.observedGeneration for c in status.conditions)} == {
            node.api.pod("web").metadata.generation
        }
        assert node.api.reasons("web") == ["Pulled", "Created", "Started"]
        await node.api.delete_pod("web")
        await node.until(lambda: not node.api.has_pod("web"), 35)
        assert "Killing" in node.api.reasons("web")
        await node.until(lambda: not node.cri.sandboxes, 5)
        assert node.host.list("/var/lib/kubelet/pods") == []
        assert node.host.list("/var/log/pods") == []

    play(story)


def test_a_crashing_container_backs_off_and_doubles() -> None:
    async def story(node: Node) -> None:
        node.cri.set_behaviour("web", "main", Behaviour(run_seconds=1, exit_code=3))
        await node.api.put(pod("web"))
        await node.until(lambda: waiting_reason(node, "web") == "CrashLoopBackOff", 10)
        status = node.container("web")
        assert status.lastState.terminated.exitCode == 3
        assert status.state.waiting.message.startswith("back-off 10s restarting failed container")
        await node.until(lambda: "back-off 40s" in (waiting_message(node, "web")), 120)
        assert node.phase("web") == "Running"
        assert "BackOff" in node.api.reasons("web")
        begin = node.container("web").restartCount
        await node.env.clock.sleep(1200)
        assert "back-off 5m0s" in waiting_message(node, "web")
        assert node.container("web").restartCount - begin <= 7
        dead = [c for c in node.cri.of_pod("web") if c.state != 1]
        assert len(dead) <= 2

    play(story)


def test_a_job_ends_once() -> None:
    async def story(node: Node) -> None:
        node.cri.set_behaviour("ok", "main", Behaviour(run_seconds=2))
        node.cri.set_behaviour(
            "bad", "main", Behaviour(run_seconds=2, exit_code=1, termination_message="it broke")
        )
        await node.api.put(pod("ok", restartPolicy="OnFailure"))
        await node.api.put(pod("bad", restartPolicy="Never"))
        await node.until(lambda: node.phase("ok") == "Succeeded", 10)
        await node.until(lambda: node.phase("bad") == "Failed", 10)
        ended = node.container("bad").state.terminated
        assert (ended.exitCode, ended.reason, ended.message) == (1, "Error", "it broke")
        ready = next(c for c in node.api.pod("ok").status.conditions if c.type == "Ready")
        assert (ready.status, ready.reason) == ("False", "PodCompleted")
        assert len(node.cri.of_pod("ok")) == 1

    play(story)


def test_init_containers_and_sidecars() -> None:
    async def story(node: Node) -> None:
        node.cri.set_behaviour("web", "first", Behaviour(run_seconds=2))
        node.cri.set_behaviour("web", "last", Behaviour(run_seconds=2))
        node.cri.set_behaviour("web", "main", Behaviour(run_seconds=5))
        await node.api.put(
            pod(
                "web",
                restartPolicy="Never",
                initContainers=[
                    container("first"),
                    container("side", restartPolicy="Always"),
                    container("last"),
                ],
            )
        )
        await node.until(lambda: node.cri.of_pod("web"), 1)
        await node.env.clock.sleep(1)
        assert [c.name for c in node.cri.of_pod("web")] == ["first"]
        await node.until(lambda: node.phase("web") == "Running", 10)
        assert [c.name for c in node.cri.of_pod("web")] == ["first", "side", "last", "main"]
        assert node.condition("web", "Initialized") == "True"
        await node.until(lambda: node.phase("web") == "Succeeded", 20)
        side = next(s for s in node.api.pod("web").status.initContainerStatuses if s.name == "side")
        assert side.state.terminated is not None

    play(story)


def test_a_failed_init_container_fails_the_pod() -> None:
    async def story(node: Node) -> None:
        node.cri.set_behaviour("web", "first", Behaviour(run_seconds=1, exit_code=1))
        await node.api.put(pod("web", restartPolicy="Never", initContainers=[container("first")]))
        await node.until(lambda: node.phase("web") == "Failed", 10)
        assert [c.name for c in node.cri.of_pod("web")] == ["first"]

    play(story)


def test_an_active_deadline_ends_the_pod() -> None:
    async def story(node: Node) -> None:
        await node.api.put(pod("web", activeDeadlineSeconds=20))
        await node.until(lambda: node.phase("web") == "Running", 5)
        await node.until(lambda: node.phase("web") == "Failed", 30)
        assert node.api.pod("web").status.reason == "DeadlineExceeded"

    play(story)


def test_a_lost_sandbox_is_replaced() -> None:
    async def story(node: Node) -> None:
        await node.api.put(pod("web"))
        await node.until(lambda: node.phase("web") == "Running", 5)
        (sandbox,) = node.cri.sandboxes.values()
        await node.cri.stop_sandbox(sandbox.id)
        await node.until(lambda: "SandboxChanged" in node.api.reasons("web"), 10)
        await node.until(lambda: node.condition("web", "Ready") == "True", 30)
        assert node.container("web").restartCount == 1
        assert max(s.config.metadata.attempt for s in node.cri.sandboxes.values()) == 1

    play(story)


def test_fifty_pods_come_and_go() -> None:
    async def story(node: Node) -> None:
        names = [f"web-{n}" for n in range(50)]
        for name in names:
            await node.api.put(pod(name))
        await node.until(lambda: all(node.condition(n, "Ready") == "True" for n in names), 5)
        assert len({node.api.pod(n).status.podIP for n in names}) == 50
        for name in names:
            await node.api.delete_pod(name, grace=2)
        await node.until(lambda: not node.api.pods() and not node.cri.sandboxes, 10)

    play(story)


def test_a_runtime_class_selects_the_handler() -> None:
    async def story(node: Node) -> None:
        found = RuntimeClass(handler="sandboxed")
        found.metadata.name = "safe"
        await node.api.put(found)
        await node.api.put(pod("web", runtimeClassName="safe"))
        text = 'no runtime for "sandboxed" is configured'
        await node.until(lambda: node.api.messages("web", "FailedCreatePodSandBox"), 5)
        assert text in node.api.messages("web", "FailedCreatePodSandBox")[0]
        await node.env.clock.sleep(60)
        (event,) = [e for e in node.api.events("web") if e.reason == "FailedCreatePodSandBox"]
        assert 4 <= event.count <= 8
        node.cri.handlers.add("sandboxed")
        await node.until(lambda: node.condition("web", "Ready") == "True", 60)
        (sandbox,) = node.cri.sandboxes.values()
        assert sandbox.handler == "sandboxed"

    play(story)


def test_whatever_happens_it_converges() -> None:
    """Pods come, go and crash while the kubelet is killed and started again, in random order."""

    async def story(node: Node) -> None:
        chance, expected, made = random.Random(99), set(), 0
        for _ in range(120):
            match chance.choice(["make", "make", "delete", "crash", "sandbox", "restart", "wait"]):
                case "make" if len(expected) < 12:
                    name, made = f"p{made}", made + 1
                    node.cri.set_behaviour(
                        name,
                        "main",
                        Behaviour(start_seconds=chance.random(), stop_seconds=chance.random() * 3),
                    )
                    await node.api.put(
                        pod(
                            name,
                            initContainers=[container("side", restartPolicy="Always")]
                            if made % 2
                            else [],
                        )
                    )
                    expected.add(name)
                case "delete" if expected:
                    name = chance.choice(sorted(expected))
                    expected.discard(name)
                    await node.api.delete_pod(name, grace=chance.choice([0, 1, 5]))
                case "crash" if expected:
                    name = chance.choice(sorted(expected))
                    if any(c.name == "main" and c.state == 1 for c in node.cri.of_pod(name)):
                        node.cri.crash(name, "main")
                case "sandbox" if node.cri.sandboxes:
                    await node.cri.stop_sandbox(chance.choice(sorted(node.cri.sandboxes)))
                case "restart":
                    await node.stop()
                    await node.env.clock.sleep(chance.random() * 3)
                    await node.start()
            await node.env.clock.sleep(chance.random())
        await node.env.clock.sleep(400)
        assert {p.metadata.name for p in node.api.pods()} == expected
        for name in expected:
            assert node.condition(name, "Ready") == "True", name
            live = [c.name for c in node.cri.of_pod(name) if c.state == 1]
            assert sorted(live) == sorted(set(live)), name
            ready = [
                s
                for s in node.cri.sandboxes.values()
                if s.config.metadata.name == name and s.state == 0
            ]
            assert len(ready) == 1
        assert {s.config.metadata.name for s in node.cri.sandboxes.values()} == expected
        assert len(node.host.list("/var/lib/kubelet/pods")) == len(expected)

    play(story)

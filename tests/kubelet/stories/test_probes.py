"""Probes, and the readiness that they decide."""

from __future__ import annotations

from typing import Any

from tests.kubelet.harness import Node, container, play, pod

from trireme.api.core import v1 as core


def test_readiness_liveness_and_startup_probes() -> None:
    async def story(node: Node) -> None:
        answers = {"startup": False, "ready": False, "live": True}
        node.cri.probe = lambda pod, container, kind, detail: answers[detail.rpartition("/")[2]]

        def http(path: str, **more: Any) -> core.Probe:
            return core.Probe(
                httpGet=core.HTTPGetAction(path=f"/{path}", port=80, scheme="HTTP"),
                timeoutSeconds=1,
                periodSeconds=2,
                successThreshold=1,
                failureThreshold=3,
                **more,
            )

        await node.api.put(
            pod(
                "web",
                container(
                    "main",
                    startupProbe=http("startup"),
                    readinessProbe=http("ready"),
                    livenessProbe=http("live"),
                ),
            )
        )
        await node.until(lambda: node.phase("web") == "Running", 5)
        await node.env.clock.sleep(3)
        assert node.container("web").started is False
        answers["startup"] = True
        await node.until(lambda: node.container("web").started, 5)
        assert not node.container("web").ready
        answers["ready"] = True
        await node.until(lambda: node.condition("web", "Ready") == "True", 5)
        answers["ready"] = False
        await node.until(lambda: node.condition("web", "Ready") == "False", 10)
        answers["live"] = False
        await node.until(lambda: node.container("web").restartCount == 1, 60)
        assert (
            "Readiness probe failed: HTTP probe failed with statuscode: 503"
            in node.api.messages("web", "Unhealthy")
        )
        assert "Container main failed liveness probe, will be restarted" in node.api.messages(
            "web", "Killing"
        )

    play(story)


def test_a_probe_command_that_takes_too_long_has_failed() -> None:
    async def story(node: Node) -> None:
        node.cri.exec_seconds[("slow",)] = 3
        probe = core.Probe(exec=core.ExecAction(command=["slow"]), timeoutSeconds=2)
        probe.periodSeconds, probe.failureThreshold = 10, 1
        await node.api.put(pod("web", container("main", livenessProbe=probe)))
        await node.until(lambda: node.phase("web") == "Running", 5)
        await node.until(lambda: node.container("web").restartCount == 1, 60)
        assert 'Liveness probe failed: command timed out: "slow" timed out after 2s' in (
            node.api.messages("web", "Unhealthy")
        )

    play(story)

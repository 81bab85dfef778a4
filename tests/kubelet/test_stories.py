"""User stories: a whole kubelet with the fake runtime, under virtual time."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from tests.kubelet.harness import Node, container, play, pod

from trireme.api.coordination import v1 as coordination
from trireme.api.core import v1 as core
from trireme.api.node.v1.runtimeclass import RuntimeClass
from trireme.machinery.errors import ApiError
from trireme.testing.fake_cri import Behaviour

GATE = core.PodReadinessGate(conditionType="example.com/gate")


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


def test_the_node_registers_and_renews_its_lease() -> None:
    async def story(node: Node) -> None:
        registered = node.api.find(core.Node, "node-0")
        assert registered.metadata.labels["kubernetes.io/hostname"] == "node-0"
        assert {c.type: c.status for c in registered.status.conditions} == {
            "MemoryPressure": "False",
            "DiskPressure": "False",
            "PIDPressure": "False",
            "Ready": "True",
        }
        assert registered.status.capacity["cpu"] == "4"
        assert registered.status.allocatable["memory"] == "8092Mi"
        assert registered.status.nodeInfo.kubeProxyVersion == ""
        await node.env.clock.sleep(1)
        first = (await node.api.client.get(coordination.Lease, "node-0", "kube-node-lease")).spec
        await node.env.clock.sleep(30)
        later = (await node.api.client.get(coordination.Lease, "node-0", "kube-node-lease")).spec
        assert (later.renewTime or "") > (first.renewTime or "")
        assert "NodeReady" in node.api.reasons("node-0")

    play(story)


def test_a_crashing_container_backs_off_and_doubles() -> None:
    async def story(node: Node) -> None:
        node.cri.set_behaviour("web", "main", Behaviour(run_seconds=1, exit_code=3))
        await node.api.put(pod("web"))
        await node.until(lambda: _waiting(node, "web") == "CrashLoopBackOff", 10)
        status = node.container("web")
        assert status.lastState.terminated.exitCode == 3
        assert status.state.waiting.message.startswith("back-off 10s restarting failed container")
        await node.until(lambda: "back-off 40s" in (_message(node, "web")), 120)
        assert node.phase("web") == "Running"
        assert "BackOff" in node.api.reasons("web")
        begin = node.container("web").restartCount
        await node.env.clock.sleep(1200)
        assert "back-off 5m0s" in _message(node, "web")
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


def test_a_pull_secret_of_another_shape_is_a_pull_failure() -> None:
    async def story(node: Node) -> None:
        secret = core.Secret(
            type="kubernetes.io/dockerconfigjson",
            data={".dockerconfigjson": b'{"auths": {"docker.io": ["u", "p"]}}'},
        )
        secret.metadata.name, secret.metadata.namespace = "regcred", "default"
        await node.api.put(secret)
        private = pod("web", container("main", image="private"))
        private.spec.imagePullSecrets = [core.LocalObjectReference(name="regcred")]
        await node.api.put(private)
        await node.until(lambda: _waiting(node, "web") == "ErrImagePull", 5)
        assert 'pull secret "regcred" cannot be read' in "".join(node.api.messages("web", "Failed"))

    play(story)


def test_pull_failures_show_their_reasons() -> None:
    async def story(node: Node) -> None:
        node.cri.pull_errors["nope:latest"] = "not found"
        await node.api.put(pod("web", container("main", image="nope")))
        never = container("main", image="absent")
        never.imagePullPolicy = "Never"
        await node.api.put(pod("never", never))
        await node.api.put(pod("bad", container("main", image="NOT VALID")))
        await node.until(lambda: _waiting(node, "web") == "ErrImagePull", 5)
        await node.until(lambda: _waiting(node, "web") == "ImagePullBackOff", 5)
        await node.until(lambda: _waiting(node, "never") == "ErrImageNeverPull", 5)
        await node.until(lambda: _waiting(node, "bad") == "InvalidImageName", 5)
        del node.cri.pull_errors["nope:latest"]
        await node.until(lambda: node.phase("web") == "Running", 60)
        assert node.phase("never") == "Pending"

    play(story)


def test_config_maps_reach_files_and_environment() -> None:
    async def story(node: Node) -> None:
        volume = core.Volume(name="conf", configMap=core.ConfigMapVolumeSource(name="conf"))
        spec = container(
            "main",
            volumeMounts=[core.VolumeMount(name="conf", mountPath="/conf")],
            env=[
                core.EnvVar(
                    name="COLOR",
                    valueFrom=core.EnvVarSource(
                        configMapKeyRef=core.ConfigMapKeySelector(name="conf", key="color")
                    ),
                )
            ],
            args=["--color=$(COLOR)"],
        )
        await node.api.put(pod("web", spec, volumes=[volume]))
        await node.until(lambda: node.api.messages("web", "FailedMount"), 5)
        assert node.api.messages("web", "FailedMount")[0] == (
            'MountVolume.SetUp failed for volume "conf" : configmap "conf" not found'
        )
        conf = core.ConfigMap(data={"color": "red"})
        conf.metadata.name, conf.metadata.namespace = "conf", "default"
        await node.api.put(conf)
        await node.until(lambda: node.phase("web") == "Running", 30)
        main = node.cri.running("web", "main")
        assert main.config.args == ["--color=red"]
        path = next(m.host_path for m in main.config.mounts if m.container_path == "/conf")
        assert node.host.read(f"{path}/color") == b"red"
        conf.data = {"color": "blue", "size": "9"}
        await node.api.put(conf)
        await node.until(lambda: node.host.read(f"{path}/color") == b"blue", 100)
        assert node.host.read(f"{path}/size") == b"9"

    play(story)


def test_a_missing_env_source_is_a_config_error() -> None:
    async def story(node: Node) -> None:
        spec = container(
            "main", envFrom=[core.EnvFromSource(secretRef=core.SecretEnvSource(name="gone"))]
        )
        await node.api.put(pod("web", spec))
        await node.until(lambda: _waiting(node, "web") == "CreateContainerConfigError", 5)
        assert _message(node, "web") == 'secret "gone" not found'

    play(story)


def test_tokens_are_renewed() -> None:
    async def story(node: Node) -> None:
        volume = core.Volume(
            name="api",
            projected=core.ProjectedVolumeSource(
                sources=[
                    core.VolumeProjection(
                        serviceAccountToken=core.ServiceAccountTokenProjection(
                            path="token", expirationSeconds=600
                        )
                    )
                ]
            ),
        )
        spec = container("main", volumeMounts=[core.VolumeMount(name="api", mountPath="/api")])
        await node.api.put(pod("web", spec, volumes=[volume]))
        await node.until(lambda: node.phase("web") == "Running", 5)
        mounts = node.cri.running("web", "main").config.mounts
        path = next(m.host_path for m in mounts if m.container_path == "/api") + "/token"
        first = node.host.read(path)
        await node.env.clock.sleep(400)
        assert node.host.read(path) == first
        await node.env.clock.sleep(200)
        assert node.host.read(path) != first

    play(story)


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


def test_admission_refuses_what_does_not_fit() -> None:
    async def story(node: Node) -> None:
        big = container("main", resources=core.ResourceRequirements(requests={"cpu": "3"}))
        await node.api.put(pod("one", big))
        await node.until(lambda: node.phase("one") == "Running", 5)
        await node.api.put(pod("two", big))
        await node.until(lambda: node.phase("two") == "Failed", 5)
        status = node.api.pod("two").status
        assert status.reason == "OutOfcpu"
        # As `kubectl get` shows it, and no container status beside it.
        assert status.containerStatuses == [] and status.conditions == []
        assert status.message == (
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 3000, "
            "used: 3000, capacity: 4000"
        )

    play(story)


def test_conditions_that_others_write_meanwhile_stay() -> None:
    """Readiness gates and disruptions are written beside the kubelet's own, at any moment."""

    async def story(node: Node) -> None:
        random_ = random.Random(7)
        names = [f"p{number}" for number in range(8)]
        for name in names:
            await node.api.put(pod(name, readinessGates=[GATE]))

        async def write(name: str) -> None:
            await node.env.clock.sleep(random_.random() * 2)
            for kind, reason in (("example.com/gate", ""), ("DisruptionTarget", "Preemption")):
                written = {"type": kind, "status": "True", "reason": reason}
                change = {"status": {"conditions": [written]}}
                await node.api.client.patch(
                    core.Pod, name, "default", change, kind="strategic", subresource="status"
                )
                await node.env.clock.sleep(random_.random() * 0.1)

        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(write(name))
        for name in names:
            await node.until(lambda name=name: node.condition(name, "Ready") == "True", 10)
            assert node.condition(name, "example.com/gate") == "True"
            assert node.condition(name, "DisruptionTarget") == "True"

    play(story)


def test_a_pod_for_a_label_that_its_node_has_just_got_is_taken() -> None:
    """What the kubelet knows of its node is seconds old when the pod comes."""

    async def story(node: Node) -> None:
        await node.env.clock.sleep(20)
        for value in ("a", "b"):
            labels = {"metadata": {"labels": {"zone": value}}}
            await node.api.client.patch(core.Node, "node-0", None, labels)
            await node.api.put(pod(f"in-{value}", nodeSelector={"zone": value}))
            await node.until(lambda v=value: node.phase(f"in-{v}") == "Running", 5)
        await node.api.put(pod("elsewhere", nodeSelector={"zone": "c"}))
        await node.until(lambda: node.phase("elsewhere") == "Failed", 5)
        status = node.api.pod("elsewhere").status
        assert (status.reason, status.containerStatuses) == ("NodeAffinity", [])
        assert status.message == (
            "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node "
            "affinity/selector"
        )
        assert node.api.reasons("elsewhere") == ["NodeAffinity"]
        await node.api.delete_pod("elsewhere")
        await node.until(lambda: not node.api.has_pod("elsewhere"), 35)

    play(story)


def test_a_running_pod_is_not_resized_and_nobody_says_it_was() -> None:
    async def story(node: Node) -> None:
        small = container("main", resources=core.ResourceRequirements(requests={"cpu": "1"}))
        await node.api.put(pod("web", small))
        await node.until(lambda: node.phase("web") == "Running", 5)
        bigger = {"name": "main", "resources": {"requests": {"cpu": "2"}}}
        change = {"spec": {"containers": [bigger]}}
        with pytest.raises(ApiError, match="Pod running on node without support for resize"):
            await node.api.client.patch(
                core.Pod, "web", "default", change, kind="strategic", subresource="resize"
            )
        (status,) = node.api.pod("web").status.containerStatuses
        assert status.resources is None and status.allocatedResources == {}

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


def test_an_unready_network_holds_pods_and_the_node() -> None:
    async def story(node: Node) -> None:
        node.cri.network_ready = False
        await node.until(lambda: node.kubelet.node.network_problem(), 10)
        await node.api.put(pod("web"))
        await node.api.put(pod("host", hostNetwork=True))
        await node.until(lambda: node.phase("host") == "Running", 5)
        assert node.phase("web") == "Pending"
        assert "NetworkNotReady" in node.api.reasons("web")
        await node.until(lambda: _node_ready(node) == "False", 30)
        node.cri.network_ready = True
        await node.until(lambda: node.phase("web") == "Running", 20)
        await node.until(lambda: _node_ready(node) == "True", 30)

    play(story)


def test_the_api_may_be_away() -> None:
    async def story(node: Node) -> None:
        await node.api.put(pod("web"))
        await node.until(lambda: node.phase("web") == "Running", 5)
        node.api.node_wire.broken = True
        node.cri.crash("web", "main")
        await node.env.clock.sleep(60)
        assert node.cri.running("web", "main")
        node.api.node_wire.broken = False
        await node.until(lambda: node.container("web").restartCount == 1, 20)

    play(story)


def test_idle_pods_cost_no_writes() -> None:
    async def story(node: Node) -> None:
        await node.api.put(pod("web"))
        await node.until(lambda: node.condition("web", "Ready") == "True", 5)
        await node.env.clock.sleep(5)
        before = len([path for _, path in node.api.node_wire.writes if "/pods/" in path])
        await node.env.clock.sleep(3600)
        writes = [path for _, path in node.api.node_wire.writes if "/pods/" in path]
        assert len(writes) == before

    play(story)


def _waiting(node: Node, name: str) -> str:
    statuses = node.api.pod(name).status.containerStatuses
    state = statuses[0].state.waiting if statuses else None
    return state.reason if state is not None else ""


def _message(node: Node, name: str) -> str:
    state = node.container(name).state.waiting
    return state.message if state is not None else ""


def _node_ready(node: Node) -> str:
    return next(
        c.status for c in node.api.find(core.Node, "node-0").status.conditions if c.type == "Ready"
    )


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


def test_unsupported_volumes_are_refused_by_name() -> None:
    async def story(node: Node) -> None:
        volume = core.Volume(name="v", cephfs=core.CephFSVolumeSource(monitors=["m"]))
        await node.api.put(pod("web", volumes=[volume]))
        await node.until(lambda: node.api.messages("web", "FailedMount"), 5)
        assert "no plugin for cephfs volumes" in node.api.messages("web", "FailedMount")[0]

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

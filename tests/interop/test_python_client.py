"""The official Python client, unmodified, against a real cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward, stream

from tests.interop.cluster import Kubectl, needs_kubectl, needs_root, until

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]

SCRIPT = "echo serving; exec sleep 1000"
LABELS = {"app": "web"}


@pytest.fixture(scope="module")
def api(cluster: Kubectl) -> Iterator[client.ApiClient]:
    made = config.new_client_from_config(str(cluster.kubeconfig))
    yield made
    made.close()


def deployment(replicas: int) -> client.V1Deployment:
    container = client.V1Container(
        name="web", image="busybox:stable", command=["sh", "-c", SCRIPT], env=[]
    )
    return client.V1Deployment(
        metadata=client.V1ObjectMeta(name="web", labels=LABELS),
        spec=client.V1DeploymentSpec(
            replicas=replicas,
            selector=client.V1LabelSelector(match_labels=LABELS),
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels=LABELS),
                spec=client.V1PodSpec(containers=[container], termination_grace_period_seconds=0),
            ),
        ),
    )


def available(apps: client.AppsV1Api, namespace: str, replicas: int) -> client.V1Deployment:
    """Watch until so many replicas are available; returns the Deployment as it then is."""
    watching = watch.Watch()
    listed = apps.list_namespaced_deployment
    for event in watching.stream(listed, namespace, timeout_seconds=60):
        found: client.V1Deployment = event["object"]
        if found.metadata.name == "web" and found.status.available_replicas == replicas:
            watching.stop()
            return found
    raise AssertionError(f"{replicas} replicas did not become available")


def run(core: client.CoreV1Api, pod: str, namespace: str, *command: str, **how: Any) -> Any:
    return stream(
        core.connect_get_namespaced_pod_exec,
        pod,
        namespace,
        command=list(command),
        stdout=True,
        stderr=True,
        **{"stdin": False, "tty": False, **how},
    )


def test_a_deployment_from_its_creation_to_its_end(api: client.ApiClient, namespace: str) -> None:
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
    created = apps.create_namespaced_deployment(namespace, deployment(2))
    assert created.spec.strategy.rolling_update.max_surge == "25%"
    current = available(apps, namespace, 2)
    assert current.status.observed_generation == 1
    apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 1}})
    available(apps, namespace, 1)
    current = apps.read_namespaced_deployment("web", namespace)
    current.spec.replicas = 3
    assert apps.replace_namespaced_deployment("web", namespace, current).spec.replicas == 3
    current.metadata.resource_version = created.metadata.resource_version
    with pytest.raises(ApiException) as conflict:
        apps.replace_namespaced_deployment("web", namespace, current)
    assert conflict.value.status == 409
    watching = watch.Watch()
    gone = apps.delete_namespaced_deployment("web", namespace, propagation_policy="Background")
    assert cast(Any, gone)["status"] == "Success"
    kinds = []
    for event in watching.stream(apps.list_namespaced_deployment, namespace, timeout_seconds=5):
        kinds.append(event["type"])
        watching.stop()
    assert "DELETED" not in kinds
    with pytest.raises(ApiException) as missing:
        apps.read_namespaced_deployment("web", namespace)
    assert missing.value.status == 404
    until(lambda: core.list_namespaced_pod(namespace).items == [])


def test_a_watch_sees_the_deletion(api: client.ApiClient, namespace: str) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_config_map(
        namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c"), data={"a": "b"})
    )
    listed = core.list_namespaced_config_map(namespace)
    core.delete_namespaced_config_map("c", namespace)
    watching = watch.Watch()
    observed = []
    for event in watching.stream(
        core.list_namespaced_config_map,
        namespace,
        field_selector="metadata.name=c",
        resource_version=listed.metadata.resource_version,
        timeout_seconds=30,
    ):
        observed.append((event["type"], event["object"].data))
        watching.stop()
    assert observed == [("DELETED", {"a": "b"})]


def test_logs_and_exec(api: client.ApiClient, namespace: str) -> None:
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
    apps.create_namespaced_deployment(namespace, deployment(1))
    available(apps, namespace, 1)
    pod = core.list_namespaced_pod(namespace, label_selector="app=web").items[0].metadata.name
    assert pod is not None
    assert core.read_namespaced_pod_log(pod, namespace) == "serving\n"
    assert (
        core.read_namespaced_pod_log(pod, namespace, tail_lines=1, timestamps=True)
        .split()[0]
        .endswith("Z")
    )
    assert run(core, pod, namespace, "hostname") == f"{pod}\n"
    session = run(core, pod, namespace, "cat", stdin=True, _preload_content=False)
    session.write_stdin("hello\n")
    assert session.readline_stdout(timeout=10) == "hello"
    session.close()
    failing = run(core, pod, namespace, "sh", "-c", "exit 7", _preload_content=False)
    failing.run_forever(timeout=10)
    assert failing.returncode == 7


def test_ports_of_a_pod(api: client.ApiClient, namespace: str) -> None:
    """Two ports over one WebSocket; nobody listens on the second."""
    core = client.CoreV1Api(api)
    script = "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 80 -h /www"
    container = client.V1Container(
        name="web", image="busybox:stable", command=["sh", "-c", script], env=[]
    )
    container.readiness_probe = client.V1Probe(
        http_get=client.V1HTTPGetAction(path="/", port=80), period_seconds=1
    )
    spec = client.V1PodSpec(containers=[container], termination_grace_period_seconds=0)
    pod = client.V1Pod(metadata=client.V1ObjectMeta(name="web"), spec=spec)
    core.create_namespaced_pod(namespace, pod)

    def is_ready() -> bool:
        found = core.read_namespaced_pod("web", namespace).status.conditions or []
        return any(each.type == "Ready" and each.status == "True" for each in found)

    until(is_ready)
    connect = core.connect_get_namespaced_pod_portforward
    forwarded = portforward(connect, "web", namespace, ports="80,81")
    try:
        served = forwarded.socket(80)
        served.settimeout(20)
        served.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := served.recv(4096):
            answer += data
        assert b" 200 OK" in answer
        assert answer.endswith(b"hello\n")
        assert forwarded.error(80) is None
        until(lambda: "refused" in (forwarded.error(81) or ""))
    finally:
        forwarded.close()

"""Whatever is killed comes back by itself, and the application goes on answering meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.interop.cluster import Kubectl, needs_kubectl, needs_root, running, trireme, until
from tests.interop.lost_nodes import GRACE, main_process, ready_nodes, unplugged
from trireme.cluster import settings
from trireme.cluster.hosts import spawn
from trireme.cluster.hosts.plan import Places

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]

NAME = "t-faults"
EXAMPLE = Path(__file__).parents[2] / "examples/hello"
# "web" has found "api" by its name and got an answer.
WHOLE_ANSWER = "The api says: I am api-"

# Two pods that leave a lost node at once, one on each node as long as both are there.
MOVING = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: moving, namespace: hello}
spec:
  replicas: 2
  selector: {matchLabels: {app: moving}}
  template:
    metadata: {labels: {app: moving}}
    spec:
      terminationGracePeriodSeconds: 0
      tolerations:
        - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 1}
        - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 1}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: {matchLabels: {app: moving}}
      containers:
        - {name: c, image: "busybox:stable", command: [sleep, "1000"]}
"""  # noqa: E501


@pytest.fixture(scope="module")
def hello() -> Iterator[Kubectl]:
    """A cluster with the example, all of which is available."""
    with running(NAME, "--nodes", "2") as kubectl:
        kubectl("apply", "-f", str(EXAMPLE))
        for name in ("web", "api"):
            kubectl("rollout", "status", "-n", "hello", f"deploy/{name}", "--timeout=60s")
        yield kubectl


@pytest.fixture
def whole(hello: Kubectl) -> Kubectl:
    """The cluster once the test before has left it as it found it."""
    until(lambda: all(spawn.alive(record) for record in records()) and len(records()) == 13)
    until(lambda: ready_nodes(hello) == {"node-0", "node-1"})
    return hello


def records() -> list[spawn.Running]:
    return spawn.records(f"/run/trireme/{NAME}/processes")


def record_of(name: str) -> spawn.Running:
    return next(record for record in records() if record.name == name)


def pods(kubectl: Kubectl, app: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kubectl.json("-n", "hello", "pods", "-l", f"app={app}")["items"]
    return found


def node_ip(index: int) -> str:
    kept = settings.load(NAME, Places())
    assert kept is not None
    return kept.nodes[index].ip


class Visits:
    """What the NodePort answered, ten times a second and on each node in turn."""

    def __init__(self, urls: list[str], expected: str) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self._urls = urls
        self._expected = expected
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)

    def _visit(self) -> None:
        while not self._over.wait(0.1):
            url = self._urls[(self.answers + len(self.failures)) % len(self._urls)]
            began = time.monotonic()
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    text = answer.read().decode()
                assert self._expected in text, text
                self.answers += 1
            except (OSError, AssertionError) as problem:
                self.failures.append(f"{url} after {time.monotonic() - began:.2f} s: {problem}")

    def __enter__(self) -> Visits:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def answering(kubectl: Kubectl, expected: str = WHOLE_ANSWER) -> Iterator[Visits]:
    """The application answers every question while the block runs."""
    port = kubectl.json("-n", "hello", "service", "web")["spec"]["ports"][0]["nodePort"]
    urls = [f"http://{node_ip(index)}:{port}/cgi-bin/index.cgi" for index in (0, 1)]
    with Visits(urls, expected) as visits:
        until(lambda: visits.answers >= 2)
        yield visits
        answered = visits.answers
        until(lambda: visits.answers >= answered + 4)
    assert visits.failures == []


def killed(name: str, ready: str | None = None) -> None:
    """Kill a component, and wait until another process is in its place and says it is ready.

    ``ready`` names the component whose word is waited for, empty for none; else its own."""
    before = record_of(name)
    os.kill(before.pid, signal.SIGKILL)
    mark = Path(f"/run/trireme/{NAME}/ready", name if ready is None else ready)
    until(lambda: record_of(name) != before and spawn.alive(record_of(name)) and mark.exists())


@pytest.mark.parametrize(
    "name",
    [
        "apiserver",
        "controllers",
        "scheduler",
        "kubelet.node-0",
        "proxy.node-0",
        "dns.node-0",
        "containerd.node-0",
    ],
)
def test_a_component_killed_comes_back(whole: Kubectl, name: str) -> None:
    restarts = [restarts_of(pod) for pod in pods(whole, "web")]
    with answering(whole):
        killed(name)
        # It does its work again: a change goes through all of them.
        replicas = 4 if len(restarts) == 3 else 3
        whole("scale", "-n", "hello", "deploy/web", f"--replicas={replicas}")
        whole("rollout", "status", "-n", "hello", "deploy/web", "--timeout=60s")
    assert sum(restarts_of(pod) for pod in pods(whole, "web")) <= sum(restarts)


def restarts_of(pod: dict[str, Any]) -> int:
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))


def test_a_container_killed_is_started_again(whole: Kubectl) -> None:
    pod = next(pod for pod in pods(whole, "web") if "deletionTimestamp" not in pod["metadata"])
    name = pod["metadata"]["name"]
    assert restarts_of(pod) == 0
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    os.kill(main_process(container), signal.SIGKILL)

    def restarted() -> bool:
        found = whole.json("-n", "hello", "pod", name)["status"]["containerStatuses"][0]
        return bool(found["restartCount"] == 1 and found["ready"])

    until(restarted)
    status = whole.json("-n", "hello", "pod", name)["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 137


def test_acknowledged_writes_outlive_the_api_server(whole: Kubectl) -> None:
    acknowledged: list[str] = []
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            name = f"c-{number}"
            number += 1
            try:
                whole("create", "configmap", "-n", "hello", name, f"--from-literal=n={number}")
            except AssertionError:
                continue
            acknowledged.append(name)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        for _ in range(3):
            observed = len(acknowledged)
            until(lambda observed=observed: len(acknowledged) > observed + 5)
            killed("apiserver")
        observed = len(acknowledged)
        until(lambda: len(acknowledged) > observed + 2)
    finally:
        over.set()
        writer.join()
    there = {item["metadata"]["name"] for item in whole.json("-n", "hello", "configmaps")["items"]}
    assert set(acknowledged) <= there
    whole("delete", "configmap", "-n", "hello", *acknowledged)


def test_a_supervisor_killed_comes_back_and_adopts_what_runs(whole: Kubectl) -> None:
    before = [record for record in records() if record.name != "supervisor"]
    with answering(whole):
        killed("supervisor", ready="kubelet.node-0")
        # The new one has everything in hand: what is killed comes back.
        killed("scheduler")
        until(lambda: ready_nodes(whole) == {"node-0", "node-1"})
    kept = [record for record in before if record.name != "scheduler"]
    assert [record for record in records() if record in before] == kept
    assert "is running already" in trireme("up", "--name", NAME).stderr


def test_a_guardian_killed_comes_back_and_still_guards(whole: Kubectl) -> None:
    supervisor = record_of("supervisor")
    killed("guardian", ready="")
    assert record_of("supervisor") == supervisor
    with answering(whole):
        killed("supervisor", ready="apiserver")
        until(lambda: ready_nodes(whole) == {"node-0", "node-1"})


def test_up_brings_back_what_lost_both(whole: Kubectl) -> None:
    kept = [record_of(name) for name in ("apiserver", "kubelet.node-0", "containerd.node-0")]
    # "web" answers itself; DNS servers begin anew, for a moment it may not find "api".
    with answering(whole, "Hello from web-"):
        for name in ("guardian", "supervisor"):
            os.kill(record_of(name).pid, signal.SIGKILL)
        until(lambda: not spawn.alive(record_of("supervisor")))
        assert "is running already" not in trireme("up", "--name", NAME).stderr
        assert [record_of(record.name) for record in kept] == kept
        until(lambda: ready_nodes(whole) == {"node-0", "node-1"})


def test_components_that_hang_are_started_again(whole: Kubectl) -> None:
    """All at once, as it takes a while until one is taken for hung."""
    names = (
        "controllers", "scheduler", "kubelet.node-0", "proxy.node-1", "dns.node-1",
        "containerd.node-1", "guardian",
    )  # fmt: skip
    hung = [record_of(name) for name in names]
    for record in hung:
        os.kill(record.pid, signal.SIGSTOP)
    until(lambda: not any(spawn.alive(record) for record in hung), 70)
    until(lambda: all(spawn.alive(record_of(record.name)) for record in hung))
    until(lambda: ready_nodes(whole) == {"node-0", "node-1"})
    for name in ("apiserver", "supervisor"):
        os.kill(record_of(name).pid, signal.SIGSTOP)
        hung.append(record_of(name))
    until(lambda: not any(spawn.alive(record) for record in hung), 70)
    until(lambda: ready_nodes(whole) == {"node-0", "node-1"})
    with answering(whole):
        killed("scheduler")


def test_the_pods_of_a_silent_node_move(whole: Kubectl) -> None:
    whole("apply", "-f", "-", given=MOVING)
    until(lambda: are_spread(whole))
    with unplugged(NAME, 1):
        until(lambda: ready_nodes(whole) == {"node-0"}, GRACE + 20)
        until(lambda: run_on(whole, "node-0"), 20)
    until(lambda: ready_nodes(whole) == {"node-0", "node-1"})
    # Only now that the node is back, its kubelet ends what it still ran.
    until(lambda: len(pods(whole, "moving")) == 2)


def are_spread(kubectl: Kubectl) -> bool:
    """Whether one pod runs on each node. A node may be out of use for a moment, after an API server
    that was away for long: they are made again then."""
    kubectl("rollout", "status", "-n", "hello", "deploy/moving", "--timeout=60s")
    homes = {pod["spec"]["nodeName"] for pod in pods(kubectl, "moving")}
    if homes == {"node-0", "node-1"}:
        return True
    kubectl("rollout", "restart", "-n", "hello", "deploy/moving")
    return False


def run_on(kubectl: Kubectl, node: str) -> bool:
    """Whether two pods run, both on this node."""
    alive = [
        pod
        for pod in pods(kubectl, "moving")
        if "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] == "Running"
    ]
    return [pod["spec"]["nodeName"] for pod in alive] == [node] * 2

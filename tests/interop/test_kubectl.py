"""kubectl, unmodified, against a real cluster: each of its commands that people use daily."""

from __future__ import annotations

import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.interop.cluster import Kubectl, needs_kubectl, needs_root, until

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: web
          image: busybox:stable
          command: [sh, -c, "echo serving $VERSION; mkdir /www; hostname > /www/index.html; exec httpd -f -p 80 -h /www"]
          env: [{name: VERSION, value: one}]
          ports: [{name: http, containerPort: 80}]
          readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
"""  # noqa: E501


@pytest.fixture
def web(cluster: Kubectl, namespace: str) -> str:
    """A Deployment that is available; returns its namespace."""
    cluster("apply", "-n", namespace, "-f", "-", given=WEB)
    cluster("rollout", "status", "-n", namespace, "deploy/web", "--timeout=60s")
    return namespace


def pod_of(cluster: Kubectl, namespace: str) -> str:
    items = cluster.json("-n", namespace, "pods", "-l", "app=web")["items"]
    running = [item for item in items if "deletionTimestamp" not in item["metadata"]]
    return str(running[0]["metadata"]["name"])


def test_apply_diff_and_prune_of_a_field(cluster: Kubectl, web: str) -> None:
    changed = WEB.replace("replicas: 2", "replicas: 3").replace(
        "labels: {app: web}}\nspec", "}\nspec", 1
    )
    output = subprocess.run(
        ["kubectl", "diff", "-n", web, "-f", "-"],
        input=changed,
        capture_output=True,
        text=True,
        env=cluster.environment,
        check=False,
    )
    assert output.returncode == 1, output.stderr
    assert "+  replicas: 3" in output.stdout
    assert "configured" in cluster("apply", "-n", web, "-f", "-", given=changed)
    deployment = cluster.json("-n", web, "deploy", "web")
    assert deployment["spec"]["replicas"] == 3
    assert "labels" not in deployment["metadata"]
    assert "unchanged" in cluster("apply", "-n", web, "-f", "-", given=changed)


def test_server_side_apply(cluster: Kubectl, namespace: str) -> None:
    given = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owned}\ndata: {a: '1', b: '2'}\n"
    server_side = ("apply", "--server-side", "-n", namespace, "-f", "-")
    assert "serverside-applied" in cluster(*server_side, given=given)
    cluster("patch", "-n", namespace, "cm", "owned", "-p", '{"data": {"a": "3"}}')
    refused = subprocess.run(
        ["kubectl", *server_side],
        input=given,
        capture_output=True,
        text=True,
        env=cluster.environment,
        check=False,
    )
    assert 'conflict with "kubectl-patch" using v1: .data.a' in refused.stderr
    cluster(*server_side, "--force-conflicts", given=given)
    output = yaml.safe_load(
        cluster("get", "-n", namespace, "cm", "owned", "-o", "yaml", "--show-managed-fields")
    )
    entries = output["metadata"]["managedFields"]
    assert [(entry["manager"], entry["operation"]) for entry in entries] == [("kubectl", "Apply")]
    assert output["data"] == {"a": "1", "b": "2"}
    cluster(*server_side, given=given.replace(", b: '2'", ""))
    assert cluster.json("-n", namespace, "cm", "owned")["data"] == {"a": "1"}


def test_from_client_side_to_server_side_apply(cluster: Kubectl, namespace: str) -> None:
    given = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: moved}\ndata: {a: '1'}\n"
    cluster("apply", "-n", namespace, "-f", "-", given=given)
    moved = given.replace("'1'", "'2'")
    cluster("apply", "--server-side", "-n", namespace, "-f", "-", given=moved)
    assert cluster.json("-n", namespace, "cm", "moved")["data"] == {"a": "2"}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("wide", "CONTAINERS"),
        ("yaml", "kind: Deployment"),
        ("json", '"kind": "Deployment"'),
        ("name", "deployment.apps/web"),
        ("jsonpath={.spec.replicas}", "2"),
        ("go-template={{.metadata.name}}", "web"),
        ("custom-columns=N:.metadata.name,R:.spec.replicas", "R\nweb"),
    ],
)
def test_get_forms(cluster: Kubectl, namespace: str, form: str, expected: str) -> None:
    cluster(
        "create", "deployment", "-n", namespace, "web", "--image=busybox:stable", "--replicas=2"
    )
    printed = cluster("get", "-n", namespace, "deploy", "web", "-o", form)
    assert expected.replace("R\nweb", "web") in printed


def test_get_table_watch_and_selectors(cluster: Kubectl, web: str) -> None:
    table = cluster("get", "-n", web, "deploy")
    assert table.split()[:5] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert "2/2" in table
    assert cluster("get", "-n", web, "pods", "-l", "app=web", "--no-headers").count("Running") == 2
    assert cluster("get", "-n", web, "pods", "-l", "app!=web", "--no-headers") == ""
    one = pod_of(cluster, web)
    listed = cluster(
        "get", "-n", web, "pods", "--field-selector", f"metadata.name={one}", "-o", "name"
    )
    assert listed == f"pod/{one}\n"
    assert "NAMESPACE" in cluster("get", "pods", "-A")
    watching = cluster.start("get", "-n", web, "deploy", "web", "--watch")
    try:
        assert watching.stdout is not None
        assert "NAME" in watching.stdout.readline()
        assert "2/2" in watching.stdout.readline()
        cluster("scale", "-n", web, "deploy/web", "--replicas=1")
        assert "/1" in watching.stdout.readline()
    finally:
        watching.kill()
        watching.wait()


def test_describe(cluster: Kubectl, web: str) -> None:
    received = cluster("describe", "-n", web, "deploy", "web")
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in received
    assert "ScalingReplicaSet" in received
    received = cluster("describe", "-n", web, "pod", pod_of(cluster, web))
    assert "Successfully assigned" in received
    assert "Container image" in received
    assert "http-get http://:http/ delay=0s timeout=1s period=1s" in received
    assert "Allocated resources" in cluster("describe", "node", "node-0")


def test_edit(cluster: Kubectl, namespace: str, tmp_path: Path) -> None:
    cluster("create", "configmap", "-n", namespace, "c", "--from-literal=a=b")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/a: b/a: edited/" "$1"\n')
    editor.chmod(0o755)
    done = subprocess.run(
        ["kubectl", "edit", "-n", namespace, "configmap", "c"],
        capture_output=True,
        text=True,
        env={**cluster.environment, "KUBE_EDITOR": str(editor)},
        check=False,
    )
    assert "edited" in done.stdout, done.stderr
    assert cluster.json("-n", namespace, "configmap", "c")["data"] == {"a": "edited"}


def test_scale_and_wait(cluster: Kubectl, web: str) -> None:
    cluster("scale", "-n", web, "deploy/web", "--replicas=3")
    cluster(
        "wait", "-n", web, "deploy/web", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=60s"
    )
    cluster("scale", "-n", web, "deploy/web", "--replicas=1")
    until(lambda: len(cluster.json("-n", web, "pods")["items"]) == 1)
    cluster("wait", "-n", web, "pods", "--all", "--for=condition=Ready", "--timeout=60s")


def test_rollout_history_undo_restart_and_set_image(cluster: Kubectl, web: str) -> None:
    cluster("set", "env", "-n", web, "deploy/web", "VERSION=two")
    cluster("rollout", "status", "-n", web, "deploy/web", "--timeout=60s")
    history = cluster("rollout", "history", "-n", web, "deploy/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    cluster("rollout", "undo", "-n", web, "deploy/web")
    cluster("rollout", "status", "-n", web, "deploy/web", "--timeout=60s")
    until(lambda: "serving one" in cluster("logs", "-n", web, "deploy/web"))
    cluster("rollout", "restart", "-n", web, "deploy/web")
    cluster("rollout", "status", "-n", web, "deploy/web", "--timeout=60s")
    cluster("rollout", "pause", "-n", web, "deploy/web")
    cluster("set", "image", "-n", web, "deploy/web", "web=busybox:1.35")
    template = cluster.json("-n", web, "deploy", "web")["spec"]["template"]
    assert template["spec"]["containers"][0]["image"] == "busybox:1.35"
    cluster("rollout", "resume", "-n", web, "deploy/web")


def test_logs_follow_previous_and_options(cluster: Kubectl, web: str) -> None:
    pod = pod_of(cluster, web)
    assert cluster("logs", "-n", web, pod) == "serving one\n"
    assert cluster("logs", "-n", web, pod, "--timestamps").split()[0].endswith("Z")
    assert cluster("logs", "-n", web, "-l", "app=web", "--prefix").count("serving one") == 2
    crash = """
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: c
      image: busybox:stable
      command: [sh, -c, "n=$(cat /state/n || echo 0); echo run $n; echo $((n + 1)) > /state/n; [ $n = 0 ] && exit 3; sleep 1; echo more; sleep 600"]
      volumeMounts: [{name: state, mountPath: /state}]
  volumes: [{name: state, emptyDir: {}}]
"""  # noqa: E501
    cluster("apply", "-n", web, "-f", "-", given=crash)
    until(lambda: "run 1" in cluster("logs", "-n", web, "crash"))
    assert "run 0" in cluster("logs", "-n", web, "crash", "--previous")
    following = cluster.start("logs", "-n", web, "crash", "--follow", "--tail=5")
    try:
        assert following.stdout is not None
        lines = [following.stdout.readline() for _ in range(2)]
        assert lines[-1] == "more\n" or following.stdout.readline() == "more\n"
    finally:
        following.kill()
        following.wait()


def test_exec_with_input_a_terminal_and_an_exit_code(cluster: Kubectl, web: str) -> None:
    pod = pod_of(cluster, web)
    assert cluster("exec", "-n", web, pod, "--", "hostname") == f"{pod}\n"
    assert cluster("exec", "-i", "-n", web, pod, "--", "cat", given="hello") == "hello"
    done = subprocess.run(
        ["kubectl", "exec", "-n", web, pod, "--", "sh", "-c", "echo out; echo err >&2; exit 7"],
        capture_output=True,
        text=True,
        env=cluster.environment,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr.startswith("err\n")
    terminal = subprocess.run(
        [
            "script",
            "-qec",
            f"kubectl exec -it -n {web} {pod} -- sh -c 'tty; stty size'",
            "/dev/null",
        ],
        capture_output=True,
        text=True,
        env=cluster.environment,
        check=False,
    )
    assert "/dev/pts/" in terminal.stdout


def test_cp_both_ways(cluster: Kubectl, web: str, tmp_path: Path) -> None:
    pod = pod_of(cluster, web)
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(bytes(range(256)) * 4096)
    cluster("cp", "-n", web, str(there), f"{pod}:/tmp/file")
    cluster("cp", "-n", web, f"{pod}:/tmp/file", str(back))
    assert back.read_bytes() == there.read_bytes()


def test_port_forward(cluster: Kubectl, web: str) -> None:
    pod = pod_of(cluster, web)
    forwarding = cluster.start("port-forward", "-n", web, pod, ":80")
    try:
        assert forwarding.stdout is not None
        line = forwarding.stdout.readline()
        port = line.split(":")[1].split()[0]
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                assert answer.read().decode() == f"{pod}\n"
    finally:
        forwarding.kill()
        forwarding.wait()


@pytest.mark.parametrize("sockets", ["true", "false"])
def test_a_forwarded_port_answers_after_the_last_byte(
    cluster: Kubectl, namespace: str, sockets: str
) -> None:
    """What a pod says once it has seen the end of its input arrives, however long it takes."""
    script = 'while true; do nc -l -p 7 -e sh -c "wc -c; sleep 1.5; echo done"; done'
    cluster(
        *("run", "-n", namespace, "half", "--image=busybox:stable", "--restart=Never"),
        *("--", "sh", "-c", script),
    )
    cluster("wait", "-n", namespace, "--for=condition=Ready", "pod/half", "--timeout=60s")
    cluster.environment["KUBECTL_PORT_FORWARD_WEBSOCKETS"] = sockets
    try:
        forwarding = cluster.start("port-forward", "-n", namespace, "half", ":7")
    finally:
        del cluster.environment["KUBECTL_PORT_FORWARD_WEBSOCKETS"]
    try:
        assert forwarding.stdout is not None
        port = int(forwarding.stdout.readline().split(":")[1].split()[0])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(bytes(100_000))
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while data := connection.recv(1000):
                answer += data
        assert answer == b"100000\ndone\n"
    finally:
        forwarding.kill()
        forwarding.wait()


def test_auth_can_i_and_tokens(cluster: Kubectl, namespace: str) -> None:
    assert cluster("auth", "can-i", "delete", "nodes") == "yes\n"
    cluster("create", "serviceaccount", "-n", namespace, "robot")
    robot = f"system:serviceaccount:{namespace}:robot"
    assert cluster("auth", "can-i", "get", "pods", "-n", namespace, "--as", robot, fails=True) == ""
    cluster("create", "role", "-n", namespace, "see", "--verb=get,list", "--resource=pods")
    cluster(
        "create",
        "rolebinding",
        "-n",
        namespace,
        "see",
        "--role=see",
        f"--serviceaccount={namespace}:robot",
    )
    until(
        lambda: cluster("auth", "can-i", "get", "pods", "-n", namespace, "--as", robot) == "yes\n"
    )
    token = cluster("create", "token", "-n", namespace, "robot").strip()
    assert token.count(".") == 2
    config = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = cluster.kubeconfig.parent / "pki" / "ca.crt"
    words = (
        "--kubeconfig=/dev/null",
        f"--server={config['server']}",
        f"--token={token}",
        f"--certificate-authority={authority}",
        "-n",
        namespace,
    )
    assert cluster("get", "pods", *words) == ""
    error_output = cluster("get", "secrets", *words, fails=True)
    assert f'User "{robot}" cannot list resource "secrets" in API group ""' in error_output
    assert "Username" in cluster("auth", "whoami")


def test_delete_and_what_depends_on_it(cluster: Kubectl, web: str) -> None:
    cluster("delete", "-n", web, "deploy", "web")
    until(lambda: cluster("get", "-n", web, "rs,pods", "-o", "name") == "")
    error_output = cluster("delete", "-n", web, "deploy", "web", fails=True)
    assert 'deployments.apps "web" not found' in error_output


def test_delete_orphans_on_request(cluster: Kubectl, web: str) -> None:
    cluster("delete", "-n", web, "deploy", "web", "--cascade=orphan")
    (replica_set,) = cluster.json("-n", web, "rs")["items"]
    until(
        lambda: (
            "ownerReferences"
            not in cluster.json("-n", web, "rs", replica_set["metadata"]["name"])["metadata"]
        )
    )
    assert len(cluster.json("-n", web, "pods")["items"]) == 2


def test_explain_and_api_resources(cluster: Kubectl) -> None:
    assert "maxUnavailable" in cluster("explain", "deployment.spec.strategy.rollingUpdate")
    assert "FIELDS" in cluster("explain", "pod.spec", "--recursive")
    resources = cluster("api-resources")
    for line in ("deployments", "pods", "clusterroles", "endpointslices", "leases"):
        assert line in resources
    assert "apps/v1" in cluster("api-versions")
    assert "Server Version: v1.36" in cluster("version")


@pytest.mark.parametrize(
    ("manifest", "error_output"),
    [
        ("a: [", "error"),
        (WEB.replace("replicas: 2", "replicaz: 2"), 'unknown field "spec.replicaz"'),
        (
            WEB.replace("replicas: 2", "replicas: two"),
            "cannot unmarshal string into Go struct field",
        ),
        (WEB.replace("name: web, labels", "name: Web_, labels"), "metadata.name: Invalid value"),
        (
            WEB.replace("app: web}}\n  template", "app: other}}\n  template"),
            "does not match template",
        ),
    ],
)
def test_bad_manifests_are_refused_with_the_reason(
    cluster: Kubectl, namespace: str, manifest: str, error_output: str
) -> None:
    assert error_output in cluster("apply", "-n", namespace, "-f", "-", given=manifest, fails=True)


def test_a_missing_namespace(cluster: Kubectl) -> None:
    error_output = cluster("apply", "-n", "nowhere", "-f", "-", given=WEB, fails=True)
    assert 'namespaces "nowhere" not found' in error_output


def test_an_unknown_kind(cluster: Kubectl, namespace: str) -> None:
    manifest = WEB.replace("kind: Deployment", "kind: Deploymint")
    error_output = cluster("apply", "-n", namespace, "-f", "-", given=manifest, fails=True)
    assert 'no matches for kind "Deploymint"' in error_output

"""The command line without root and with single components, and what it says when it cannot."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.interop.cluster import TRIREME, needs_kubectl, needs_root, trireme, until
from tests.interop.standalone import alone, api_server, free_port
from trireme.cluster.hosts import spawn

pytestmark = [pytest.mark.interop, needs_kubectl]

NOBODY = 65534
NODE = """
apiVersion: v1
kind: Node
metadata: {name: fake}
"""
CAPACITY = (
    '{"status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},'
    ' "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},'
    ' "conditions": [{"type": "Ready", "status": "True"}]}}'
)


def test_an_api_server_alone_answers_kubectl(tmp_path: Path) -> None:
    with api_server(tmp_path) as kubectl:
        assert "kube-system" in kubectl("get", "namespaces")
        kubectl("create", "configmap", "c", "--from-literal=a=b")
        assert kubectl.json("configmap", "c")["data"] == {"a": "b"}


def test_scheduler_and_controllers_alone_bring_pods_to_a_node(tmp_path: Path) -> None:
    with ExitStack() as stack:
        kubectl = stack.enter_context(api_server(tmp_path))
        kubectl("create", "deployment", "web", "--image=busybox:stable", "--replicas=2")

        def pods() -> list[dict[str, dict[str, str]]]:
            found: list[dict[str, dict[str, str]]] = kubectl.json("pods")["items"]
            return found

        assert pods() == []
        logs = [tmp_path / f"{name}.log" for name in ("controllers", "scheduler")]
        for log in logs:
            path = tmp_path / f"{log.stem}.kubeconfig"
            words = (log.stem, "--kubeconfig", str(path), "--secure-port=0")
            stack.enter_context(alone(*words, log=log))
        until(lambda: len(pods()) == 2)
        assert {pod["status"]["phase"] for pod in pods()} == {"Pending"}
        until(lambda: "no nodes available" in kubectl("describe", "pods"))
        kubectl("create", "-f", "-", given=NODE)
        kubectl("patch", "node", "fake", "--subresource=status", "-p", CAPACITY)
        until(lambda: [pod["spec"].get("nodeName") for pod in pods()] == ["fake"] * 2)
        assert [log for log in logs if "forbidden" in log.read_text()] == []


def test_a_dns_server_alone_answers(tmp_path: Path) -> None:
    import dnslib

    port = free_port()
    with ExitStack() as stack:
        kubectl = stack.enter_context(api_server(tmp_path))
        words = ("dns", "--kubeconfig", str(kubectl.kubeconfig), "--listen", f"127.0.0.1:{port}")
        log = tmp_path / "dns.log"
        stack.enter_context(alone(*words, log=log))
        until(lambda: "ready" in log.read_text())
        question = dnslib.DNSRecord.question("kubernetes.default.svc.cluster.local")
        answer = dnslib.DNSRecord.parse(question.send("127.0.0.1", port, timeout=5))
        assert [str(record.rdata) for record in answer.rr] == ["10.96.0.1"]


class User:
    """Somebody without rights, with a home of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.reading: list[str] = []
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("XDG_")},
            "HOME": str(home),
        }

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = list(words)
        if os.geteuid() == 0:
            argv[:0] = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            argv[4:4] = self.reading
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=60, check=False, cwd="/",
            env=self._environment,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done


@pytest.fixture
def user() -> Iterator[User]:
    # Not below pytest's own folder, which only its maker may enter.
    home = Path("/tmp", f"trireme-user-{os.getpid()}")
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
    somebody = User(home)
    try:
        if somebody("test", "-x", sys.executable, check=False).returncode:
            # Python lies in a folder of root's: this user may read everything, and nothing else.
            only = "-all,+dac_read_search"
            somebody.reading = [
                f"--inh-caps={only}", f"--bounding-set={only}", "--ambient-caps=+dac_read_search"
            ]  # fmt: skip
        yield somebody
    finally:
        shutil.rmtree(home)


def test_a_control_plane_without_root(user: User) -> None:
    name = ("--name", "t-user")
    words = ("up", *name, "--control-plane-only")
    user(*TRIREME, *words, "--api-port", str(free_port()))
    try:
        assert "is running already" in user(*TRIREME, *words).stderr
        path = user(*TRIREME, "kubeconfig", *name, "--path").stdout.strip()
        assert path.startswith(str(user.home))
        listed = user("kubectl", "--kubeconfig", path, "get", "namespaces").stdout
        assert "kube-system" in listed
        output = user(*TRIREME, "status", *name).stdout
        for component in ("apiserver", "controllers", "scheduler"):
            assert component in output
        pids = [int(line.split()[1]) for line in output.splitlines() if " running " in line]
        assert len(pids) == 5
    finally:
        user(*TRIREME, "down", *name)
    assert [pid for pid in pids if not spawn.ended(pid)] == []
    left = [p for p in user.home.rglob("*") if p.is_file() and ".kube/" not in str(p)]
    assert left == []


def test_nodes_need_root_and_it_says_what_works_without(user: User) -> None:
    done = user(*TRIREME, "up", "--name", "t-user", check=False)
    assert done.returncode != 0
    assert "not root" in done.stderr
    assert "--control-plane-only" in done.stderr
    assert "Traceback" not in done.stderr


def stderr_of(*words: str, **environment: str) -> str:
    """What a command that has to fail says: a line or two, and no traceback."""
    done = subprocess.run(
        [*TRIREME, *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode not in (0, -signal.SIGKILL), done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        received = stderr_of("up", "--name", "t-words", "--control-plane-only", "--api-port", port)
        assert f"port {port} on 127.0.0.1 is in use" in received
        assert "--api-port" in received
        received = stderr_of("apiserver", "--port", port, "--state-dir", str(tmp_path / "state"))
        assert f"port {port} on 127.0.0.1 is in use" in received
    assert not Path("/var/lib/trireme/t-words").exists()


@needs_root
def test_a_port_in_use_is_named_for_a_cluster_with_nodes_too() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port}" in stderr_of("up", "--name", "t-words", "--api-port", port)


@pytest.mark.parametrize("command", ["status", "kubeconfig", "logs"])
def test_an_unknown_cluster_is_named(command: str) -> None:
    words = ("logs", "apiserver") if command == "logs" else (command,)
    received = stderr_of(*words, "--name", "nobody-s")
    assert "there is no cluster 'nobody-s'" in received
    assert "trireme up --name nobody-s" in received


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("up", "--datastore", "mysql:x"), "must be 'memory' or 'sqlite:PATH'"),
        (("up", "--datastore", "sqlite:"), "must be 'memory' or 'sqlite:PATH'"),
        (("apiserver", "--datastore", "etcd"), "must be 'memory' or 'sqlite:PATH'"),
        (("up", "--name", "Big_Name", "--control-plane-only"), "cluster name 'Big_Name'"),
        (("up", "--nodes", "0"), "not in the range 1<=x<=200"),
        (("up", "--control-plane-only", "--api-port", "70000"), "not in the range 1<=x<=65535"),
        (("apiserver", "--node", "n"), "must be NAME=ADDRESS"),
        (("apiserver", "--node", "N=192.0.2.1"), "lowercase RFC 1123 subdomain"),
        (("scheduler", "--kubeconfig", "/nowhere"), "does not exist"),
        (("nonsense",), "No such command 'nonsense'"),
    ],
)
def test_bad_words_are_refused_by_name(words: tuple[str, ...], expected: str) -> None:
    named = () if words[0] != "up" or "--name" in words else ("--name", "t-words")
    assert expected in stderr_of(*words, *named)


def test_a_bad_kubeconfig_and_a_bad_address(tmp_path: Path) -> None:
    bad = tmp_path / "kubeconfig"
    bad.write_text("kind: Pod\n")
    assert "not a kubeconfig" in stderr_of("scheduler", "--kubeconfig", str(bad))
    received = stderr_of("dns", "--kubeconfig", str(bad), "--listen", "53")
    assert "'--listen': '53': must be ADDRESS:PORT" in received
    node = ("--node-name", "n", "--node-ip", "192.0.2.1", "--runtime", "tcp://x")
    assert "must be unix:///PATH" in stderr_of("kubelet", "--kubeconfig", str(bad), *node)


@needs_root
def test_a_missing_program_is_named_with_its_package(tmp_path: Path) -> None:
    for name in ("ip", "nft", "iptables", "mount", "nsenter", "runc", "umount", "unshare", "sh"):
        found = shutil.which(name)
        if found:
            (tmp_path / name).symlink_to(found)
    if shutil.which("containerd", path="/usr/sbin:/sbin"):
        pytest.skip("containerd is where it is looked for besides PATH")
    received = stderr_of("up", "--name", "t-words", PATH=str(tmp_path))
    assert "not installed: containerd" in received
    assert "apt-get install" in received
    assert "containerd" in received.split("apt-get install")[1]


def test_down_of_nothing_is_no_fault() -> None:
    assert "is gone" in trireme("down", "--name", "t-words").stderr


@needs_root
@pytest.mark.parametrize("moment", ["network", "API server", "nodes", "ready"])
def test_an_interrupted_up_says_so_in_a_line(moment: str) -> None:
    """Whatever it is about, and whatever it has started."""
    state, run = Path("/var/lib/trireme/t-words"), Path("/run/trireme/t-words")
    marks = {
        "network": state / "hosts.json",
        "API server": run / "processes/apiserver.json",
        "nodes": run / "ready/apiserver",
        "ready": run / "ready/kubelet.node-0",
    }
    upping = subprocess.Popen(
        [*TRIREME, "up", "--name", "t-words"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until(lambda: marks[moment].exists() or upping.poll() is not None)
        # As Ctrl-C does it: to all of the terminal's processes.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(upping.pid, signal.SIGINT)
        _, received = upping.communicate(timeout=60)
        assert "Traceback" not in received
        # All may have been done already.
        assert upping.returncode in (130, 0)
        if upping.returncode == 130:
            assert received.splitlines()[-1].startswith("interrupted: ")
    finally:
        trireme("down", "--name", "t-words")


@pytest.mark.parametrize("command", ["apiserver", "dns"])
def test_a_component_alone_ends_in_silence_when_it_is_interrupted(
    command: str, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    serving = subprocess.Popen(
        [*TRIREME, "apiserver", "--port", str(free_port()), "--state-dir", str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert serving.stdout is not None
    kubeconfig = serving.stdout.readline().strip()
    process = serving
    if command == "dns":
        process = subprocess.Popen(
            [*TRIREME, "dns", "--kubeconfig", kubeconfig, "--listen", f"127.0.0.1:{free_port()}"],
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        for one in (process, serving):
            assert one.stderr is not None
            # "ready", or an interrupt before that.
            line = one.stderr.readline()
            os.kill(one.pid, signal.SIGINT)
            _, received = one.communicate(timeout=30)
            assert "Traceback" not in line + received
            assert one.returncode in (0, 130)
            if one is serving:
                break
    finally:
        for one in (process, serving):
            one.kill()
            one.wait()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty, and no store ever is"),
        (b"not a database, but long enough to be one" * 100, "is corrupt: file is not a database"),
    ],
)
def test_up_shows_what_the_store_says(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    try:
        received = stderr_of(
            "up", "--name", "t-words", "--control-plane-only", "--datastore", f"sqlite:{path}"
        )
        assert f"apiserver: {path} {words}" in received
        assert path.read_bytes() == content
    finally:
        trireme("down", "--name", "t-words")

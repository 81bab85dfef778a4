"""A database on a claim: killed under load, moved to another node, scaled; no acknowledged row is
lost. The manifest is the example that users read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.cluster import Kubectl, needs_kubectl, needs_root, running, trireme, until
from tests.interop.lost_nodes import GRACE, processes, ready_nodes, unplugged

pytestmark = [pytest.mark.interop, needs_root, needs_kubectl]
NAME = "postgresql"
EXAMPLE = Path(__file__).parents[2] / "examples" / "postgresql" / "postgresql.yaml"
PSQL = ("--", "psql", "-h", "localhost", "-U", "postgres", "-At", "-v", "ON_ERROR_STOP=1", "-c")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("image") / "postgresql.tar"
    words = ("image", "build", "postgresql:15", "--package", "postgresql", "-o", str(archive))
    done = subprocess.run(
        [sys.executable, "-m", "trireme.cluster.main", *words], capture_output=True, text=True
    )
    if "Failed to fetch" in done.stderr or "Unable to locate package" in done.stderr:
        pytest.skip(f"the distribution's archive is out of reach: {done.stderr[:200]}")
    assert done.returncode == 0, done.stderr
    return archive


def sql(kubectl: Kubectl, text: str, pod: str = "db-0") -> str:
    return kubectl("exec", pod, *PSQL, text, patience=5.0).strip()


def is_ready(kubectl: Kubectl, pod: str = "db-0") -> bool:
    found = [item for item in kubectl.json("pods")["items"] if item["metadata"]["name"] == pod]
    conditions = found[0]["status"].get("conditions", []) if found else []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def node_of(kubectl: Kubectl) -> str:
    """The node of db-0, "" before it is scheduled."""
    return str(kubectl.json("pod", "db-0")["spec"].get("nodeName", ""))


class Writer:
    """Inserts one number after the other; ``acknowledged`` are those that the server confirmed."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.acknowledged: list[int] = []
        self._kubectl = kubectl
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            try:
                sql(self._kubectl, f"insert into rows values ({number})")
            except (AssertionError, subprocess.TimeoutExpired):
                # Not acknowledged: it may be there or not.
                self._stop.wait(0.2)
                continue
            self.acknowledged.append(number)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()

    def wrote_more(self, than: int) -> bool:
        return len(self.acknowledged) > than


@pytest.fixture
def database(image: Path) -> Iterator[Kubectl]:
    """A cluster of two nodes with the example, and its table."""
    with running(NAME, "--nodes", "2") as kubectl:
        trireme("image", "load", str(image), "--name", NAME)
        kubectl("apply", "-f", str(EXAMPLE))
        until(lambda: is_ready(kubectl))
        sql(kubectl, "create table rows (n int primary key)")
        yield kubectl


def test_no_acknowledged_row_is_lost(database: Kubectl) -> None:
    volume = database.json("pvc", "data-db-0")["spec"]["volumeName"]
    with Writer(database).writing() as writer:
        until(lambda: writer.wrote_more(10))
        # Killed without a word to the server.
        before = database.json("pod", "db-0")["metadata"]["uid"]
        database("delete", "pod", "db-0", "--force", "--grace-period=0")
        until(lambda: database.json("pod", "db-0")["metadata"]["uid"] != before)
        known = len(writer.acknowledged)
        until(lambda: writer.wrote_more(known + 10))
        # Moved to the other node.
        left = node_of(database)
        database("cordon", left)
        database("delete", "pod", "db-0")
        until(lambda: is_ready(database))
        known = len(writer.acknowledged)
        until(lambda: writer.wrote_more(known + 10))
    assert node_of(database) != left
    database("uncordon", left)
    present = {int(line) for line in sql(database, "select n from rows").split()}
    assert set(writer.acknowledged) <= present
    assert database.json("pvc", "data-db-0")["spec"]["volumeName"] == volume
    # A second one has a volume of its own, which stays when it goes.
    database("scale", "statefulset", "db", "--replicas=2")
    until(lambda: is_ready(database, "db-1"))
    assert sql(database, "select count(*) from pg_tables where tablename = 'rows'", "db-1") == "0"
    database("scale", "statefulset", "db", "--replicas=1")
    until(lambda: "pod/db-1" not in database("get", "pods", "-o", "name"))
    claims = database("get", "pvc", "-o", "name").split()
    assert claims == ["persistentvolumeclaim/data-db-0", "persistentvolumeclaim/data-db-1"]


def test_no_acknowledged_row_is_lost_with_its_node(database: Kubectl) -> None:
    """A machine that stops, under load, and is fenced as upstream's documentation says: with the
    taint out-of-service."""
    home = node_of(database)
    other = ({"node-0", "node-1"} - {home}).pop()
    status = database.json("pod", "db-0")["status"]["containerStatuses"][0]
    with Writer(database).writing() as writer:
        until(lambda: writer.wrote_more(10))
        with unplugged(NAME, int(home[-1])):
            # It does nothing any more: there would be two servers on the same files.
            for pid in processes(status["containerID"].rpartition("/")[2]):
                os.kill(pid, signal.SIGSTOP)
            until(lambda: ready_nodes(database) == {other}, GRACE + 20)
            taint = "node.kubernetes.io/out-of-service"
            database("taint", "node", home, f"{taint}=nodeshutdown:NoExecute")
            until(lambda: node_of(database) == other and is_ready(database))
            known = len(writer.acknowledged)
            until(lambda: writer.wrote_more(known + 10))
    database("taint", "node", home, f"{taint}-")
    until(lambda: ready_nodes(database) == {"node-0", "node-1"})
    present = {int(line) for line in sql(database, "select n from rows").split()}
    assert set(writer.acknowledged) <= present

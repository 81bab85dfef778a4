"""All controllers under load: ``python bench/controllers.py [--upstream DIR] [--write]``.

Ours, and with ``--upstream`` upstream's kube-controller-manager with its client limits lifted, each
as one process against our API server, fresh for each of them, in the same run. Nodes are fake: they
report pods ready, or succeeded, and let go of those that are deleted, as fast as they can.
``--only NAME`` measures one load; ``--share 0.1`` makes all of them smaller.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import results
import subjects
import uvloop
from results import Row
from subjects import TOKEN, Subject

from trireme.api.apps import v1 as apps
from trireme.api.batch import v1 as batch
from trireme.api.coordination.v1.lease import Lease, LeaseSpec
from trireme.api.core import v1 as core
from trireme.client import kubeconfig
from trireme.client.client import Client
from trireme.cluster import usage
from trireme.kit.clock import RealClock
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.machinery import time as moments
from trireme.runtime.informer import Event, Informers

SPACE, NODE, LOG = "measured", "node-0", "controllers.log"
PATIENCE = 900.0
# Writes that the fake nodes have under way at a time.
AT_ONCE = 32
# Until the last writes are through, and for how long nothing is done.
STABLE_SECONDS, IDLE_SECONDS = 15.0, 40.0
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "%s", certificate-authority: "%s"}}]
users: [{name: u, user: {token: "%s"}}]
"""


def main() -> None:
    """Print the figures, and write them where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--upstream", type=Path, help="folder of kube-controller-manager")
    parser.add_argument("--only", choices=[load.name for load in LOADS])
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--write", action="store_true", help="put the rows into RESULTS.md")
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    subjects.compiled()
    loads = [load for load in LOADS if options.only in (None, load.name)]
    ours = uvloop.run(_measure(_trireme, loads, options.share))
    theirs: dict[str, float] = {}
    if options.upstream:
        binary = options.upstream / "kube-controller-manager"
        theirs = uvloop.run(_measure(lambda f, u: _upstream(binary, f, u), loads, options.share))
    rows = [
        Row(f"controllers: {name}", unit, value, goal, theirs.get(name))
        for name, value in ours.items()
        for unit in ["MB" if "PSS" in name else "% of a core" if "CPU" in name else "s"]
        for goal in [1.0 if "CPU" in name else None]
    ]
    results.show(rows, busy, write=options.write)


Command = Callable[[Path, Subject], list[str]]


def _trireme(folder: Path, _subject: Subject) -> list[str]:
    path = str(folder / "kubeconfig")
    return [
        sys.executable,
        "-m",
        "trireme.cluster.main",
        "controllers",
        "--kubeconfig",
        path,
        "--secure-port=0",
        # There is one API server: as `trireme up` has it.
        "--namespace-deletion-grace-period=0s",
    ]


def _upstream(binary: Path, folder: Path, subject: Subject) -> list[str]:
    return [
        str(binary),
        f"--kubeconfig={folder / 'kubeconfig'}",
        "--leader-elect=false",
        "--kube-api-qps=1000000",
        "--kube-api-burst=1000000",
        "--secure-port=0",
        f"--root-ca-file={subject.authority}",
        f"--service-account-private-key-file={subject.authority.parent / 'accounts.key'}",
    ]


async def _measure(command: Command, loads: list[Load], share: float) -> dict[str, float]:
    """Seconds of each load, and the most memory of the controllers so far, by name."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="trireme-bench-") as name, subjects.trireme() as served:
        folder = Path(name)
        text = KUBECONFIG % (served.url, served.authority, TOKEN)
        (folder / "kubeconfig").write_text(text)
        async with _cluster(folder) as cluster:
            process = _process(command(folder, served), folder / LOG)
            try:
                await cluster.until(
                    lambda: cluster.find(core.ServiceAccount, "default") is not None
                )
                for load in loads:
                    await _one(cluster, process.pid, load, share, found)
            except TimeoutError:
                raise SystemExit((folder / LOG).read_text()[-3000:]) from None
            finally:
                process.terminate()
                process.wait(30)
    return found


def _process(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output)


async def _one(
    cluster: Cluster, pid: int, load: Load, share: float, found: dict[str, float]
) -> None:
    count = max(1, round(load.count * share))
    phases = load.run(cluster, count, share)
    most = 0.0
    async for phase in phases:
        began = time.perf_counter()
        await phase.act()
        while not phase.done():
            if time.perf_counter() - began > PATIENCE:
                raise TimeoutError
            used = usage.of(pid)
            most = max(most, used.pss / 1e6 if used is not None else 0.0)
            await asyncio.sleep(0.05)
        found[phase.name] = time.perf_counter() - began
        if phase.idle:
            await asyncio.sleep(STABLE_SECONDS)
            before = _cpu(pid)
            await asyncio.sleep(IDLE_SECONDS)
            found[phase.name] = 100 * (_cpu(pid) - before) / IDLE_SECONDS
        print(f"  {phase.name}: {found[phase.name]:.2f}, {most:.0f} MB", flush=True)
    found[f"{load.name}, most memory (PSS)"] = most


def _cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Phase:
    """What a user does, and when the controllers have followed."""

    name: str
    act: Callable[[], Awaitable[Any]]
    done: Callable[[], bool]
    # Then nothing happens, and what counts is the controllers' processor time.
    idle: bool = False


class Cluster:
    """A client, caches, and a node that plays along."""

    def __init__(self, client: Client, env: Env) -> None:
        self.client = client
        self.env = env
        self.informers = Informers(client, env)
        # What a new pod becomes: a status to patch.
        self.outcome: dict[str, Any] = {}
        self._work: asyncio.Queue[Callable[[], Awaitable[Any]]] = asyncio.Queue()

    def of(self, kind: type) -> list[Any]:
        return self.informers.of(kind).list(SPACE)

    def find(self, kind: type, name: str) -> Any:
        return self.informers.of(kind).get(SPACE, name)

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def many(self, acts: list[Callable[[], Awaitable[Any]]]) -> None:
        """Do all of them, so many at a time."""
        ahead = iter(acts)

        async def work() -> None:
            for act in ahead:
                await act()

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    def observe(self, event: Event[core.Pod]) -> None:
        """Work of the node."""
        pod = event.object
        if event.type == "DELETED" or pod.metadata.namespace != SPACE:
            return
        name = pod.metadata.name
        if pod.metadata.deletionTimestamp is not None:
            if event.old is None or event.old.metadata.deletionTimestamp is None:
                at_once = meta.DeleteOptions(gracePeriodSeconds=0)
                self._work.put_nowait(lambda: self.client.delete(core.Pod, name, SPACE, at_once))
        elif event.type == "ADDED" and pod.status.phase == "Pending":
            change = {"status": self._status()}
            self._work.put_nowait(
                lambda: self.client.patch(core.Pod, name, SPACE, change, "merge", "status")
            )

    def _status(self) -> dict[str, Any]:
        stamp = moments.format(time.time())
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": stamp}
        return {"phase": "Running", "conditions": [ready], **self.outcome}

    async def work(self) -> None:
        while True:
            act = await self._work.get()
            try:
                await act()
            except errors.ApiError as error:
                if not errors.is_not_found(error) and not errors.is_conflict(error):
                    raise

    async def beat(self) -> None:
        """The node's heartbeat."""
        while True:
            now = moments.format_micro(time.time())
            spec = LeaseSpec(holderIdentity=NODE, leaseDurationSeconds=40, renewTime=now)
            lease = Lease(
                metadata=meta.ObjectMeta(name=NODE, namespace="kube-node-lease"), spec=spec
            )
            try:
                await self.client.create(lease)
            except errors.ApiError:
                change = {"spec": {"renewTime": now}}
                await self.client.patch(Lease, NODE, "kube-node-lease", change)
            await asyncio.sleep(8)


KINDS = (
    core.Pod,
    core.ServiceAccount,
    core.ConfigMap,
    apps.Deployment,
    apps.ReplicaSet,
    apps.StatefulSet,
    batch.Job,
)


@asynccontextmanager
async def _cluster(folder: Path) -> AsyncIterator[Cluster]:
    transport = kubeconfig.connect(kubeconfig.load(folder / "kubeconfig"), RealClock())
    cluster = Cluster(Client(transport, user_agent="bench"), Env())
    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[Any]] = []

        class Own:
            def create_task(self, work: Any, name: str = "") -> None:
                tasks.append(group.create_task(work))

        for kind in KINDS:
            cluster.informers.of(kind)
        cluster.informers.of(core.Pod).add_handler(cluster.observe)
        cluster.informers.start(Own())  # type: ignore[arg-type]
        await cluster.informers.synced()
        await cluster.client.create(core.Namespace(metadata=meta.ObjectMeta(name=SPACE)))
        await cluster.client.create(_node())
        tasks += [group.create_task(cluster.work()) for _ in range(AT_ONCE)]
        tasks.append(group.create_task(cluster.beat()))
        try:
            yield cluster
        finally:
            for task in tasks:
                task.cancel()
    await transport.close()


def _node() -> core.Node:
    stamp = moments.format(time.time())
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
    ready |= {"lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
    status = {"capacity": {"cpu": "1000", "memory": "1Ti", "pods": "10000"}, "conditions": [ready]}
    return msgspec.convert({"metadata": {"name": NODE}, "status": status}, core.Node)


def _template(name: str, image: str = "v1", restart: str = "Always") -> dict[str, Any]:
    """Pods that are on their node from the beginning: no scheduler takes part."""
    container = {
        "name": "c",
        "image": image,
        "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}},
    }
    spec = {"containers": [container], "nodeName": NODE, "restartPolicy": restart}
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def _object(kind: type, name: str, **spec: Any) -> Any:
    if kind is not batch.Job:
        spec["selector"] = {"matchLabels": {"app": name}}
    return msgspec.convert({"metadata": {"name": name, "namespace": SPACE}, "spec": spec}, kind)


Phases = AsyncIterator[Phase]


async def deployments(cluster: Cluster, count: int, share: float) -> Phases:
    """100 Deployments of 50 pods."""
    size = 50

    def create(number: int) -> Callable[[], Awaitable[Any]]:
        name = f"d{number}"
        made = _object(apps.Deployment, name, replicas=size, template=_template(name))
        return lambda: cluster.client.create(made)

    def available() -> bool:
        found = cluster.of(apps.Deployment)
        return len(found) == count and all(d.status.availableReplicas == size for d in found)

    yield Phase(
        f"{count} Deployments of {size} pods, created to all Ready",
        lambda: cluster.many([create(number) for number in range(count)]),
        available,
    )
    updated = max(1, count // 5)

    def update(number: int) -> Callable[[], Awaitable[Any]]:
        change = {"spec": {"template": _template(f"d{number}", "v2")}}
        return lambda: cluster.client.patch(apps.Deployment, f"d{number}", SPACE, change)

    def rolled_out() -> bool:
        found = [cluster.find(apps.Deployment, f"d{number}") for number in range(updated)]
        return all(
            d.status.observedGeneration == d.metadata.generation > 1
            and d.status.updatedReplicas == d.status.replicas == size
            and d.status.availableReplicas == size
            for d in found
        )

    yield Phase(
        f"rolling update of {updated * size} pods",
        lambda: cluster.many([update(number) for number in range(updated)]),
        rolled_out,
    )
    yield Phase(
        f"{count * size} pods deleted with their Deployments",
        lambda: cluster.client.delete_collection(apps.Deployment, SPACE),
        lambda: not cluster.of(core.Pod) and not cluster.of(apps.ReplicaSet),
    )


async def idle(cluster: Cluster, count: int, share: float) -> Phases:
    """10,000 pods of 200 Deployments, and nothing to do."""
    size = 50
    made = [
        _object(apps.Deployment, f"i{n}", replicas=size, template=_template(f"i{n}"))
        for n in range(count)
    ]

    def available() -> bool:
        found = cluster.of(apps.Deployment)
        return len(found) == count and all(d.status.availableReplicas == size for d in found)

    yield Phase(
        f"idle with {count * size} pods (CPU)",
        lambda: cluster.many([partial(cluster.client.create, obj) for obj in made]),
        available,
        idle=True,
    )
    yield Phase(
        f"{count * size} pods deleted with their Deployments",
        lambda: cluster.client.delete_collection(apps.Deployment, SPACE),
        lambda: not cluster.of(core.Pod) and not cluster.of(apps.ReplicaSet),
    )


async def job(cluster: Cluster, count: int, share: float) -> Phases:
    """A Job of 5,000 completions."""
    parallelism = max(1, round(500 * share))
    cluster.outcome = {"phase": "Succeeded"}
    template = _template("job", restart="Never")
    made = _object(batch.Job, "job", completions=count, parallelism=parallelism, template=template)

    def complete() -> bool:
        found = cluster.find(batch.Job, "job")
        return found is not None and found.status.completionTime is not None

    yield Phase(
        f"a Job of {count} completions, {parallelism} at a time",
        lambda: cluster.client.create(made),
        complete,
    )
    cluster.outcome = {}
    background = meta.DeleteOptions(propagationPolicy="Background")
    yield Phase(
        f"{count} pods deleted with their Job",
        lambda: cluster.client.delete(batch.Job, "job", SPACE, background),
        lambda: not cluster.of(core.Pod),
    )


async def statefulset(cluster: Cluster, count: int, share: float) -> Phases:
    """1,000 pods of a StatefulSet, in parallel."""
    made = _object(
        apps.StatefulSet,
        "sts",
        replicas=count,
        serviceName="sts",
        podManagementPolicy="Parallel",
        template=_template("sts"),
    )

    def available() -> bool:
        found = cluster.find(apps.StatefulSet, "sts")
        return found is not None and found.status.availableReplicas == count

    yield Phase(
        f"{count} StatefulSet pods in parallel, created to all Ready",
        lambda: cluster.client.create(made),
        available,
    )
    yield Phase(
        f"{count} pods scaled down with their StatefulSet",
        lambda: cluster.client.patch(apps.StatefulSet, "sts", SPACE, {"spec": {"replicas": 0}}),
        lambda: not cluster.of(core.Pod),
    )


async def namespace(cluster: Cluster, count: int, share: float) -> Phases:
    """A namespace of 5,000 objects."""
    for number in range(count):
        made = core.ConfigMap(metadata=meta.ObjectMeta(name=f"c{number}", namespace=SPACE))
        await cluster.client.create(made)

    async def deleted() -> None:
        await cluster.client.delete(core.Namespace, SPACE)

    gone = False

    async def watch() -> None:
        nonlocal gone
        while not gone:
            try:
                await cluster.client.get(core.Namespace, SPACE)
            except errors.ApiError:
                gone = True
            await asyncio.sleep(0.05)

    task = asyncio.ensure_future(watch())
    yield Phase(f"a namespace of {count} objects deleted", deleted, lambda: gone)
    await task


@dataclass(frozen=True)
class Load:
    name: str
    count: int
    run: Callable[[Cluster, int, float], Phases]


# The last one deletes what the others work in.
LOADS = (
    Load("deployments", 100, deployments),
    Load("job", 5000, job),
    Load("statefulset", 1000, statefulset),
    Load("idle", 200, idle),
    Load("namespace", 5000, namespace),
)

if __name__ == "__main__":
    main()

"""Upstream's own kube-controller-manager and kube-scheduler, as they come, on our API server.

Needs the folder of their binaries in UPSTREAM_BINARIES. They speak protobuf, elect leaders, and
take every kind that they watch from us; the nodes are played by the test: a pod that is bound runs,
a job's pod ends well.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.statefulset_types import StatefulSet
from trireme.api.batch.v1.job_types import Job
from trireme.api.coordination.v1.lease import Lease
from trireme.api.core import v1 as core
from trireme.apiserver import serve
from trireme.apiserver.config import ServiceAccountKeys
from trireme.client.client import Client
from trireme.client.http import Http, Tls
from trireme.client.kubeconfig import Access, write
from trireme.kit import pki
from trireme.kit.env import Env
from trireme.machinery import errors, meta, time
from trireme.testing import control_plane

BINARIES = os.environ.get("UPSTREAM_BINARIES", "")
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not BINARIES, reason="UPSTREAM_BINARIES names no folder"),
]
NODES = ("one", "two")
WITHIN = 120.0


async def test_a_deployment_a_stateful_set_and_a_job_come_up(tmp_path: Path) -> None:
    env = Env()
    keys = _write_keys(tmp_path, env)
    async with _serving(env, keys) as port, asyncio.TaskGroup() as group:
        authority = keys["ca"].certificate
        tls = Tls(authority=authority, client=keys["admin"])
        http = Http(f"https://127.0.0.1:{port}", tls)
        client = Client(http, "nodes")
        started = [
            await _start(tmp_path, port, keys, "kube-controller-manager", *_signing(tmp_path)),
            await _start(tmp_path, port, keys, "kube-scheduler"),
        ]
        playing = group.create_task(_play_nodes(client, env))
        try:
            for made in (_deployment(), _stateful_set(), _job()):
                await client.create(made)
            async with asyncio.timeout(WITHIN):
                while not await _all_up(client):
                    assert all(process.returncode is None for process in started), "one has ended"
                    await asyncio.sleep(0.2)
        finally:
            playing.cancel()
            for process in started:
                process.terminate()
            await asyncio.gather(*(process.wait() for process in started))
            await http.close()


def _template(labels: dict[str, str], **spec: Any) -> dict[str, Any]:
    containers = [{"name": "main", "image": "example/main:1"}]
    return {"metadata": {"labels": labels}, "spec": {"containers": containers, **spec}}


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": "default"}


def _workload(name: str, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    selector = {"matchLabels": labels}
    template = _template(labels)
    return {
        "metadata": _named(name),
        "spec": {"replicas": 3, "selector": selector, "template": template, **spec},
    }


def _deployment() -> Deployment:
    return msgspec.convert(_workload("web"), Deployment)


def _stateful_set() -> StatefulSet:
    return msgspec.convert(_workload("db", serviceName="db"), StatefulSet)


def _job() -> Job:
    template = _template({"app": "sum"}, restartPolicy="Never")
    spec = {"completions": 4, "parallelism": 2, "template": template}
    return msgspec.convert({"metadata": _named("sum"), "spec": spec}, Job)


async def _all_up(client: Client) -> bool:
    web = await client.get(Deployment, "web", "default")
    db = await client.get(StatefulSet, "db", "default")
    job = await client.get(Job, "sum", "default")
    complete = any(c.type == "Complete" and c.status == "True" for c in job.status.conditions)
    return web.status.availableReplicas == db.status.availableReplicas == 3 and complete


async def _play_nodes(client: Client, env: Env) -> None:
    """Two nodes that are ready, and run what is bound to them."""
    for name in NODES:
        await client.create(_node(name, env))
        lease = Lease(metadata=meta.ObjectMeta(name=name, namespace="kube-node-lease"))
        lease.spec.holderIdentity, lease.spec.leaseDurationSeconds = name, 40
        await client.create(lease)
    while True:
        renewed = {"spec": {"renewTime": time.format_micro(env.clock.now())}}
        for name in NODES:
            await client.patch(Lease, name, "kube-node-lease", renewed)
        for pod in (await client.list(core.Pod)).items:
            await _run(client, env, pod)
        await asyncio.sleep(0.2)


def _node(name: str, env: Env) -> core.Node:
    now = time.format(env.clock.now())
    room = {"cpu": "8", "memory": "16Gi", "pods": "110"}
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": now, "lastTransitionTime": now}
    status = {"capacity": room, "allocatable": room, "conditions": [ready]}
    return msgspec.convert({"metadata": {"name": name}, "status": status}, core.Node)


async def _run(client: Client, env: Env, pod: core.Pod) -> None:
    name, namespace = pod.metadata.name, pod.metadata.namespace
    if pod.metadata.deletionTimestamp is not None:
        now = meta.DeleteOptions(gracePeriodSeconds=0)
        await client.delete(core.Pod, name, namespace, options=now)
    elif pod.spec.nodeName and pod.status.phase == "Pending":
        ends = pod.spec.restartPolicy == "Never"
        since = time.format(env.clock.now())
        ready = {"type": "Ready", "status": "False" if ends else "True"}
        status = {
            "phase": "Succeeded" if ends else "Running",
            "startTime": since,
            "conditions": [{**ready, "lastTransitionTime": since}],
        }
        try:
            await client.patch(core.Pod, name, namespace, {"status": status}, subresource="status")
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise


def _write_keys(folder: Path, env: Env) -> dict[str, Any]:
    now = env.clock.now()
    authority = pki.new_authority("test", now)
    keys: dict[str, Any] = {
        "ca": authority,
        "serving": pki.issue(authority, "apiserver", now, names=["127.0.0.1"], server=True),
        "admin": pki.issue(authority, "admin", now, organizations=["system:masters"]),
        "kube-controller-manager": pki.issue(authority, "system:kube-controller-manager", now),
        "kube-scheduler": pki.issue(authority, "system:kube-scheduler", now),
        "accounts": pki.new_key(),
    }
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "accounts.key").write_bytes(keys["accounts"])
    return keys


@asynccontextmanager
async def _serving(env: Env, keys: dict[str, Any]) -> AsyncIterator[int]:
    served = control_plane.api_server(
        env,
        post_start_hooks=True,
        # The controllers make the accounts.
        default_accounts=(),
        service_accounts=ServiceAccountKeys(keys["accounts"]),
        listen=(("127.0.0.1", 0),),
        serving=keys["serving"],
        client_authority=keys["ca"].certificate,
    )
    async with served as server, serve.listening(server) as bound:
        yield bound[0][1]


def _signing(folder: Path) -> list[str]:
    return [
        f"--service-account-private-key-file={folder / 'accounts.key'}",
        f"--root-ca-file={folder / 'ca.pem'}",
        "--use-service-account-credentials=true",
    ]


async def _start(
    folder: Path, port: int, keys: dict[str, Any], program: str, *more: str
) -> asyncio.subprocess.Process:
    """One of upstream's components as its own user, on a port of its own."""
    kubeconfig = folder / f"{program}.kubeconfig"
    tls = Tls(authority=keys["ca"].certificate, client=keys[program])
    write(kubeconfig, Access(server=f"https://127.0.0.1:{port}", tls=tls))
    log = (folder / f"{program}.log").open("wb")
    return await asyncio.create_subprocess_exec(
        str(Path(BINARIES, program)),
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={folder / program}",
        "--secure-port=0",
        *more,
        stdout=log,
        stderr=log,
    )

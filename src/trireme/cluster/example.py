"""Apply an example's manifests and check that the application answers: the end of ``scripts/up``.

In: a folder of manifests. Out: lines on the terminal. The application is requested by the Service's
DNS name from another pod (its log), and on the NodePort from the host.
"""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path
from typing import Any

from trireme import api
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.catalog import Catalog
from trireme.api.core.v1.pod.container import Container
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.service import Service
from trireme.cli.stages import Stages
from trireme.client.client import Client
from trireme.cluster import access
from trireme.cluster.settings import BadSetting, Settings
from trireme.machinery import errors
from trireme.machinery.codec import yaml
from trireme.machinery.meta import DeleteOptions, ObjectMeta

WAIT = 120.0
VISITOR = "visitor"


async def verify(cluster: Settings, folder: Path, stages: Stages) -> None:
    """Apply, wait until every Deployment is available, then ask the application."""
    objects = read(folder)
    async with access.admin(cluster) as client:
        with stages.stage(f"apply {folder}"):
            for obj in objects:
                await apply(client, obj)
        with stages.stage("first container running"):
            await _first_running(client, _namespace_of(objects))
        with stages.stage("application available"):
            for obj in objects:
                if obj["kind"] == "Deployment":
                    await _available(client, obj["metadata"])
        for obj in objects:
            if obj["kind"] == "Service" and obj["spec"].get("type") == "NodePort":
                await _ask(client, cluster, obj["metadata"], stages)


def read(folder: Path) -> list[dict[str, Any]]:
    """The objects of all manifests in a folder, in order of file names."""
    objects = [
        loaded.value
        for path in sorted(folder.glob("*.yaml"))
        for loaded in yaml.load_all(path.read_bytes())
        if loaded.value is not None
    ]
    if not objects:
        raise BadSetting(f"{folder}: no manifests (*.yaml) there")
    return objects


async def apply(client: Client, obj: dict[str, Any]) -> None:
    """Create the object, or merge it into the one that is there."""
    group, _, version = obj["apiVersion"].rpartition("/")
    resource = Catalog.of(api).by_kind.get((group, version, obj["kind"]))
    if resource is None:
        raise BadSetting(f"kind {obj['kind']} of {obj['apiVersion']} is not served")
    handle = client.dynamic(group, version, resource.plural, resource.namespaced)
    meta = obj["metadata"]
    namespace = meta.get("namespace", "default" if resource.namespaced else "")
    try:
        await handle.create(obj, namespace)
    except errors.ApiError as error:
        if not errors.is_already_exists(error):
            raise
        await handle.patch(meta["name"], namespace, obj, kind="merge")


def try_next(folder: Path | None) -> list[str]:
    """Three commands for a user to go on with."""
    if folder is None:
        return [
            "kubectl get nodes",
            "kubectl create deployment web --image=busybox:stable -- sleep infinity",
            "kubectl get pods -o wide --watch",
        ]
    namespace = _namespace_of(read(folder))
    return [
        f"kubectl -n {namespace} get pods -o wide",
        f"kubectl -n {namespace} logs deploy/web --follow",
        f"kubectl -n {namespace} scale deploy/web --replicas=5",
    ]


def _namespace_of(objects: list[dict[str, Any]]) -> str:
    return next((o["metadata"]["name"] for o in objects if o["kind"] == "Namespace"), "default")


async def _first_running(client: Client, namespace: str) -> None:
    async with asyncio.timeout(WAIT):
        while True:
            listed = await client.list(Pod, namespace)
            for pod in listed.items:
                states = [status.state for status in pod.status.containerStatuses]
                if any(state is not None and state.running is not None for state in states):
                    return
            await asyncio.sleep(0.02)


async def _available(client: Client, meta: dict[str, Any]) -> None:
    async with asyncio.timeout(WAIT):
        while True:
            deployment = await client.get(Deployment, meta["name"], meta["namespace"])
            status = deployment.status
            if (
                status.observedGeneration >= deployment.metadata.generation
                and status.availableReplicas >= (deployment.spec.replicas or 0)
                and status.updatedReplicas >= (deployment.spec.replicas or 0)
            ):
                return
            await asyncio.sleep(0.05)


async def _ask(client: Client, cluster: Settings, meta: dict[str, Any], stages: Stages) -> None:
    name, namespace = meta["name"], meta["namespace"]
    url = f"http://{name}.{namespace}.svc.cluster.local"
    with stages.stage(f"asking {url} from a pod"):
        inside = await _visit(client, namespace, url)
    stages.say(_quoted(inside))
    service = await client.get(Service, name, namespace)
    outside = f"http://{cluster.nodes[0].ip}:{service.spec.ports[0].nodePort}"
    with stages.stage(f"asking {outside} from the host"):
        answer = await asyncio.to_thread(_fetch, outside)
    stages.say(_quoted(answer))


async def _visit(client: Client, namespace: str, url: str) -> str:
    """The response of the application to another pod."""
    visitor = Pod(
        metadata=ObjectMeta(name=VISITOR, namespace=namespace),
        spec=PodSpec(
            restartPolicy="Never",
            terminationGracePeriodSeconds=0,
            containers=[
                Container(
                    name=VISITOR,
                    image="busybox:stable",
                    command=["sh", "-c", f"timeout 10 wget -q -O - {url}"],
                )
            ],
        ),
    )
    now = DeleteOptions(gracePeriodSeconds=0)
    await _gone(client, namespace, now)
    await client.create(visitor)
    try:
        async with asyncio.timeout(WAIT):
            while True:
                pod = await client.get(Pod, VISITOR, namespace)
                if pod.status.phase in ("Succeeded", "Failed"):
                    break
                await asyncio.sleep(0.02)
        path = f"/api/v1/namespaces/{namespace}/pods/{VISITOR}/log"
        answer = await client.raw("GET", path)
        return answer.body.decode()
    finally:
        await _gone(client, namespace, now)


async def _gone(client: Client, namespace: str, options: DeleteOptions) -> None:
    try:
        await client.delete(Pod, VISITOR, namespace, options)
        async with asyncio.timeout(WAIT):
            while True:
                await client.get(Pod, VISITOR, namespace)
                await asyncio.sleep(0.02)
    except errors.ApiError as error:
        if not errors.is_not_found(error):
            raise


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def _quoted(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())

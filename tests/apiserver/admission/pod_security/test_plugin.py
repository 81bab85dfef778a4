"""PodSecurity at the API server: modes, exemptions, templates, namespaces and the pods in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.apiserver.conftest import Asker

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.apiserver.admission.pod_security import existing
from trireme.apiserver.admission.pod_security.levels import LevelVersion
from trireme.apiserver.registry import Call
from trireme.machinery.meta import ObjectMeta
from trireme.testing import control_plane

PODS = "/api/v1/namespaces/default/pods"
NAMESPACE = "/api/v1/namespaces/default"
MERGE = {"content-type": "application/merge-patch+json"}
HOST = {"hostNetwork": True, "containers": [{"name": "c", "image": "i"}]}
DETAIL = 'PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'


@pytest.fixture
async def ask() -> AsyncIterator[Asker]:
    async with control_plane.api_server() as server:
        yield Asker(server)


def pod(name: str = "p", spec: dict[str, Any] = HOST) -> dict[str, Any]:
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec}


async def label(ask: Asker, **modes: str) -> tuple[int, Any, list[str]]:
    labels = {f"pod-security.kubernetes.io/{key}": value for key, value in modes.items()}
    answer = await ask.answer("PATCH", NAMESPACE, {"metadata": {"labels": labels}}, MERGE)
    return answer.status, answer.body, answer.warnings


async def test_enforce_refuses(ask: Asker) -> None:
    await label(ask, enforce="baseline")
    status, got = await ask("POST", PODS, pod())
    assert (status, got["reason"]) == (403, "Forbidden")
    assert got["message"] == f'pods "p" is forbidden: violates {DETAIL}'


async def test_warn_warns_of_pods_and_of_templates(ask: Asker) -> None:
    await label(ask, warn="baseline")
    quoted = DETAIL.replace('"', '\\"')
    answer = await ask.answer("POST", PODS, pod())
    assert (answer.status, answer.warnings) == (201, [f'299 - "would violate {quoted}"'])
    job = {
        "kind": "Job",
        "apiVersion": "batch/v1",
        "metadata": {"name": "j"},
        "spec": {"template": {"spec": {**HOST, "restartPolicy": "Never"}}},
    }
    path = "/apis/batch/v1/namespaces/default/jobs"
    answer = await ask.answer("POST", path, job)
    assert (answer.status, answer.warnings) == (201, [f'299 - "would violate {quoted}"'])


async def test_audit_annotates(ask: Asker) -> None:
    await label(ask, audit="baseline", enforce="privileged")
    server = ask.server
    endpoint = server.context.endpoint(Pod)
    assert ask.user is not None
    call = Call(ask.user)
    new = endpoint.decode(
        b'{"metadata":{"name":"p"},"spec":{"hostNetwork":true,"containers":'
        b'[{"name":"c","image":"i"}]}}'
    )
    endpoint.default(new)
    await server.context.registry.create(endpoint, "default", new, call)
    assert call.annotations == {
        "pod-security.kubernetes.io/enforce-policy": "privileged:latest",
        "pod-security.kubernetes.io/audit-violations": f"would violate {DETAIL}",
    }


async def test_an_update_of_what_is_not_looked_at_is_allowed(ask: Asker) -> None:
    await ask.must("POST", PODS, pod())
    await label(ask, enforce="baseline")
    await ask.must("PATCH", f"{PODS}/p", {"metadata": {"labels": {"a": "b"}}}, MERGE)
    image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "j"}]
    json_patch = {"content-type": "application/json-patch+json"}
    status, _ = await ask("PATCH", f"{PODS}/p", image, json_patch)
    assert status == 403
    debug = {"spec": {"ephemeralContainers": [{"name": "d", "image": "i"}]}}
    status, _ = await ask("PATCH", f"{PODS}/p/ephemeralcontainers", debug, MERGE)
    assert status == 403


async def test_wrong_labels_are_refused(ask: Asker) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "x"}
    status, got = await ask("PATCH", NAMESPACE, {"metadata": {"labels": labels}}, MERGE)
    assert (status, got["message"]) == (
        422,
        'Namespace "default" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: '
        'Invalid value: "x": must be one of privileged, baseline, restricted',
    )


async def test_existing_pods_are_warned_of(ask: Asker) -> None:
    for name in ("a", "b"):
        await ask.must("POST", PODS, pod(name))
    _, _, warnings = await label(ask, enforce="baseline")
    assert warnings == [
        '299 - "existing pods in namespace \\"default\\" violate the new PodSecurity enforce level '
        '\\"baseline:latest\\""',
        '299 - "a (and 1 other pod): host namespaces"',
    ]
    _, _, warnings = await label(ask, enforce="privileged")
    assert not warnings


def test_so_many_pods_are_looked_at() -> None:
    pods = [Pod(metadata=ObjectMeta(name=f"p{i}"), spec=PodSpec(hostPID=True)) for i in range(9)]
    ticks = iter(range(100))
    found = existing.warnings(
        "n", LevelVersion("baseline"), pods, (), lambda: next(ticks) * existing.SECONDS / 2.5
    )
    assert found == [
        "new PodSecurity enforce level only checked against the first 3 of 9 existing pods",
        'existing pods in namespace "n" violate the new PodSecurity enforce level '
        '"baseline:latest"',
        "p0 (and 2 other pods): host namespaces",
    ]

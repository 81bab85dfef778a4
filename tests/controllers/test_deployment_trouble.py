"""Deployments that meet names that are taken, a server that refuses, and other owners."""

from __future__ import annotations

import msgspec

from tests.controllers import harness
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core import v1 as core
from trireme.domain import templates
from trireme.machinery import errors, meta
from trireme.testing import virtual
from trireme.testing.fault_injection import FaultInjector


@virtual.test()
async def test_a_name_that_is_taken_is_counted_and_another_is_made(env):
    async with harness.world(env) as w:
        first = await w.client.create(harness.deployment())
        await w.until(lambda: w.list(ReplicaSet))
        (made,) = w.list(ReplicaSet)
        await w.client.delete(Deployment, "web", "default")
        await w.until(lambda: not w.list(ReplicaSet))
        # Another's ReplicaSet has the name that ours is going to have.
        labels = {"app": "other"}
        manifest = {
            "metadata": {"name": made.metadata.name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": labels}, "template": harness.template(labels)},
        }
        await w.client.create(msgspec.convert(manifest, ReplicaSet))
        await w.client.create(harness.deployment())
        await w.until(
            lambda: (
                w.find(Deployment, "web") and w.get(Deployment, "web").status.availableReplicas == 3
            )
        )
        assert w.get(Deployment, "web").status.collisionCount == 1
        names = [item.metadata.name for item in w.list(ReplicaSet)]
        assert f"web-{templates.hash_of(first.spec.template, 1)}" in names and len(names) == 2
        assert not await w.quiet(60)


@virtual.test()
async def test_a_refused_replica_set_is_told(env):
    lines: list[FaultInjector] = []

    def line(inner):
        lines.append(FaultInjector(inner))
        return lines[-1]

    async with harness.world(env, through=line) as w:
        refusal = errors.forbidden("replicasets.apps", "x", "quota is used up")

        def sets(method: str, path: str, _query: str) -> bool:
            return method == "POST" and path.endswith("/replicasets")

        for each in lines:
            each.refuse(refusal, sets, times=8)
        await w.client.create(harness.deployment())
        await w.until(lambda: "ReplicaSetCreateError" in w.reasons("web"))
        found = {c.type: c for c in w.get(Deployment, "web").status.conditions}["Progressing"]
        assert (found.status, found.reason) == ("False", "ReplicaSetCreateError")
        assert found.message.startswith('Failed to create new replica set "web-')
        await w.until(lambda: w.get(Deployment, "web").status.availableReplicas == 3)
        await w.quiet(5)
        found = {c.type: c for c in w.get(Deployment, "web").status.conditions}["Progressing"]
        assert (found.status, found.reason) == ("True", "NewReplicaSetAvailable")


@virtual.test()
async def test_a_deployment_that_selects_everything_does_nothing_and_says_so(env):
    async with harness.world(env) as w:
        manifest = harness.deployment()
        manifest.spec.selector = meta.LabelSelector()
        try:
            await w.client.create(manifest)
        except errors.ApiError as refused:
            assert errors.is_invalid(refused)
        else:
            await w.until(lambda: "SelectingAll" in w.reasons("web"))
            assert not w.list(ReplicaSet)


@virtual.test()
async def test_annotations_and_patience_of_the_deployment_reach_its_replica_set(env):
    async with harness.world(env) as w:
        await w.client.create(harness.deployment())
        await w.until(lambda: w.list(ReplicaSet))
        change = {
            "metadata": {"annotations": {"kubernetes.io/change-cause": "why"}},
            "spec": {"minReadySeconds": 7},
        }
        await w.client.patch(Deployment, "web", "default", change)
        await w.quiet(20)
        (found,) = w.list(ReplicaSet)
        assert found.metadata.annotations["kubernetes.io/change-cause"] == "why"
        assert found.spec.minReadySeconds == 7
        assert len(w.list(core.Pod)) == 3

"""Garbage collection and the deletion of namespaces."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec
import pytest

from tests.controllers import harness
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core import v1 as core
from trireme.client.transport import Response, Transport
from trireme.machinery import errors, meta
from trireme.testing import virtual
from trireme.testing.transports import PassThrough

Ahead = Callable[[str], Awaitable[None]]


async def rolled_out(w: harness.World) -> None:
    await w.client.create(harness.deployment())
    await w.until(lambda: len(w.pods(app="web")) == 3)
    await w.until(lambda: w.get(Deployment, "web").status.availableReplicas == 3)


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
def test_a_deployment_takes_its_pods_with_it(policy):
    @virtual.test()
    async def story(env):
        async with harness.world(env) as w:
            await rolled_out(w)
            options = meta.DeleteOptions(propagationPolicy=policy)
            await w.client.delete(Deployment, "web", "default", options)
            if policy == "Foreground":
                await w.until(lambda: w.get(Deployment, "web").metadata.deletionTimestamp)
            await w.until(lambda: not w.list(core.Pod))
            await w.until(lambda: not w.list(ReplicaSet) and not w.list(Deployment))
            assert not await w.quiet(100)

    story()


@virtual.test()
async def test_foreground_deletion_waits_only_for_dependents_that_block(env):
    """Dependents go at once, whether they block or not; the owner waits for those that do."""
    async with harness.world(env) as w:

        def config(name: str, *owners: meta.OwnerReference) -> core.ConfigMap:
            kept = ["a.b/keep"] if name.startswith("held") else []
            metadata = meta.ObjectMeta(
                name=name, namespace="default", ownerReferences=[*owners], finalizers=kept
            )
            return core.ConfigMap(metadata=metadata)

        made = await w.client.create(config("owner"))
        for name, blocks in (("held-blocking", True), ("loose", False), ("held-loose", False)):
            reference = meta.OwnerReference(
                apiVersion="v1",
                kind="ConfigMap",
                name="owner",
                uid=made.metadata.uid,
                blockOwnerDeletion=blocks,
            )
            await w.client.create(config(name, reference))
        await w.until(lambda: w.find(core.ConfigMap, "held-loose") is not None)
        await w.quiet(5)
        foreground = meta.DeleteOptions(propagationPolicy="Foreground")
        await w.client.delete(core.ConfigMap, "owner", "default", foreground)
        await w.until(lambda: w.find(core.ConfigMap, "loose") is None, 2)
        for name in ("held-blocking", "held-loose"):
            assert w.get(core.ConfigMap, name).metadata.deletionTimestamp is not None
        assert w.find(core.ConfigMap, "owner") is not None
        free = {"metadata": {"finalizers": None}}
        await w.client.patch(core.ConfigMap, "held-blocking", "default", free)
        await w.until(lambda: w.find(core.ConfigMap, "owner") is None, 2)
        assert w.find(core.ConfigMap, "held-loose") is not None


@virtual.test()
async def test_orphans_stay_and_are_adopted_again(env):
    async with harness.world(env) as w:
        await rolled_out(w)
        names = [pod.metadata.name for pod in w.pods(app="web")]
        orphan = meta.DeleteOptions(propagationPolicy="Orphan")
        await w.client.delete(Deployment, "web", "default", orphan)
        await w.until(lambda: not w.list(Deployment))
        await w.quiet(10)
        (left,) = w.list(ReplicaSet)
        assert left.metadata.ownerReferences == []
        await w.client.create(harness.deployment())
        await w.until(lambda: w.list(ReplicaSet)[0].metadata.ownerReferences)
        await w.quiet(10)
        assert [pod.metadata.name for pod in w.pods(app="web")] == names


@virtual.test()
async def test_owners_that_never_were_cost_an_object_its_life_but_one_that_is_saves_it(env):
    async with harness.world(env) as w:
        real = await w.client.create(
            core.ConfigMap(metadata=meta.ObjectMeta(name="owner", namespace="default"))
        )

        def reference(name: str, uid: str) -> meta.OwnerReference:
            return meta.OwnerReference(apiVersion="v1", kind="ConfigMap", name=name, uid=uid)

        never = reference("nobody", "00000000-0000-4000-8000-000000000000")
        there = reference("owner", real.metadata.uid)
        for name, owners in (("doomed", [never]), ("saved", [never, there])):
            await w.client.create(
                core.ConfigMap(
                    metadata=meta.ObjectMeta(name=name, namespace="default", ownerReferences=owners)
                )
            )
        # An owner of another namespace is no owner.
        await w.client.create(
            core.ConfigMap(
                metadata=meta.ObjectMeta(
                    name="astray", namespace="kube-system", ownerReferences=[there]
                )
            )
        )
        await w.until(lambda: w.find(core.ConfigMap, "saved") is not None)
        await w.until(lambda: w.find(core.ConfigMap, "doomed") is None)
        await w.until(lambda: w.find(core.ConfigMap, "astray", "kube-system") is None)
        saved = await w.client.get(core.ConfigMap, "saved", "default")
        await w.until(lambda: len(w.get(core.ConfigMap, "saved").metadata.ownerReferences) == 1)
        assert saved.metadata.uid
        await w.until(lambda: w.reasons("astray") == ["OwnerRefInvalidNamespace"])


class Collecting(PassThrough):
    """The garbage collector's requests; ``ahead`` is awaited before a DELETE is sent."""

    def __init__(self, inner: Transport, requests: list[str], ahead: Ahead) -> None:
        super().__init__(inner)
        self._requests = requests
        self._ahead = ahead

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        if method == "DELETE":
            await self._ahead(path)
        response = await super().request(method, path, query, headers, body)
        if "/namespaces/" in path:
            self._requests.append(f"{method} {path.rpartition('/')[2]} {response.status}")
        return response


def collecting(requests: list[str], ahead: Ahead) -> harness.PerUser:
    def through(inner: Transport, user: str) -> Transport:
        collects = user.endswith(":generic-garbage-collector")
        return Collecting(inner, requests, ahead) if collects else inner

    return through


def owned(name: str, owner: core.ConfigMap) -> core.ConfigMap:
    metadata = meta.ObjectMeta(name=name, namespace="default", ownerReferences=[refer(owner)])
    return core.ConfigMap(metadata=metadata)


def refer(owner: core.ConfigMap) -> meta.OwnerReference:
    of = owner.metadata
    return meta.OwnerReference(apiVersion="v1", kind="ConfigMap", name=of.name, uid=of.uid)


@virtual.test()
async def test_what_lost_its_owner_is_deleted_by_one_request(env):
    """The event of the owner's deletion says that it is gone, and the graph what it left."""
    requests: list[str] = []

    async def ahead(path: str) -> None:
        pass

    async with harness.world(env, per_user=collecting(requests, ahead)) as w:
        owner = await w.client.create(
            core.ConfigMap(metadata=meta.ObjectMeta(name="owner", namespace="default"))
        )
        for name in ("a", "b"):
            await w.client.create(owned(name, owner))
        await w.quiet(5)
        requests.clear()
        await w.client.delete(core.ConfigMap, "owner", "default")
        # Its name is another object's now.
        await w.client.create(
            core.ConfigMap(metadata=meta.ObjectMeta(name="owner", namespace="default"))
        )
        await w.quiet(10)
        assert sorted(requests) == ["DELETE a 200", "DELETE b 200"]
        assert w.find(core.ConfigMap, "owner") is not None


@virtual.test()
async def test_what_finds_an_owner_before_it_is_deleted_stays(env):
    """The deletion holds for the state that was seen: another owner, or another object of that
    name, saves it."""
    requests: list[str] = []

    async def ahead(path: str) -> None:
        name = path.rpartition("/")[2]
        if name == "adopted" and not any("adopted" in item for item in requests):
            change = {"metadata": {"ownerReferences": [msgspec.to_builtins(refer(other))]}}
            await w.client.patch(core.ConfigMap, name, "default", change)
        if name == "replaced" and not any("replaced" in item for item in requests):
            await w.client.delete(core.ConfigMap, name, "default")
            fresh = meta.ObjectMeta(name=name, namespace="default")
            await w.client.create(core.ConfigMap(metadata=fresh))
        if name == "labelled" and not any("labelled" in item for item in requests):
            labelled = {"metadata": {"labels": {"a": "b"}}}
            await w.client.patch(core.ConfigMap, name, "default", labelled)

    async with harness.world(env, per_user=collecting(requests, ahead)) as w:
        owner, other = [
            await w.client.create(
                core.ConfigMap(metadata=meta.ObjectMeta(name=name, namespace="default"))
            )
            for name in ("owner", "other")
        ]
        for name in ("adopted", "replaced", "labelled"):
            await w.client.create(owned(name, owner))
        await w.quiet(5)
        await w.client.delete(core.ConfigMap, "owner", "default")
        await w.quiet(30)
        assert {item for item in requests if item.startswith("DELETE")} == {
            "DELETE adopted 409",
            "DELETE replaced 409",
            "DELETE labelled 409",
            "DELETE labelled 200",
        }
        assert w.get(core.ConfigMap, "adopted").metadata.ownerReferences == [refer(other)]
        assert w.find(core.ConfigMap, "replaced") is not None


@virtual.test()
async def test_a_namespace_goes_with_all_that_is_in_it(env):
    async with harness.world(env) as w:
        await w.client.create(core.Namespace(metadata=meta.ObjectMeta(name="shop")))
        await w.until(lambda: w.find(core.ServiceAccount, "default", "shop") is not None)
        deployment = harness.deployment()
        deployment.metadata.namespace = "shop"
        await w.client.create(deployment)
        await w.client.create(
            core.ConfigMap(
                metadata=meta.ObjectMeta(name="held", namespace="shop", finalizers=["a.b/keep"])
            )
        )
        await w.until(lambda: len(w.pods(app="web")) == 3)
        await w.client.delete(core.Namespace, "shop")
        await w.until(lambda: not w.pods(app="web"))
        await w.until(
            lambda: (
                {
                    c.type: c.message for c in w.get(core.Namespace, "shop", "").status.conditions
                }.get("NamespaceFinalizersRemaining")
                == "Some content in the namespace has finalizers remaining: "
                "a.b/keep in 1 resource instances"
            )
        )
        with pytest.raises(errors.ApiError):
            await w.client.create(
                core.ConfigMap(metadata=meta.ObjectMeta(name="late", namespace="shop"))
            )
        await w.client.patch(core.ConfigMap, "held", "shop", {"metadata": {"finalizers": None}})
        await w.until(lambda: w.find(core.Namespace, "shop", "") is None)
        assert not w.list(core.ConfigMap, "shop") and not w.list(core.ServiceAccount, "shop")
        assert not await w.quiet(100)


@virtual.test()
async def test_a_namespaces_pods_go_before_all_else(env):
    async with harness.world(env) as w:
        await w.client.create(core.Namespace(metadata=meta.ObjectMeta(name="shop")))
        await w.until(lambda: w.find(core.ServiceAccount, "default", "shop") is not None)
        held = meta.ObjectMeta(name="held", namespace="shop", finalizers=["a.b/keep"])
        spec = core.PodSpec(containers=[core.Container(name="main", image="v1")])
        await w.client.create(core.Pod(metadata=held, spec=spec))
        await w.client.create(
            core.ConfigMap(metadata=meta.ObjectMeta(name="needed", namespace="shop"))
        )
        await w.until(lambda: w.find(core.Pod, "held", "shop") is not None)
        await w.client.delete(core.Namespace, "shop")
        await w.until(lambda: w.get(core.Pod, "held", "shop").metadata.deletionTimestamp)
        await w.quiet(60)
        assert w.find(core.ConfigMap, "needed", "shop") is not None
        await w.client.patch(core.Pod, "held", "shop", {"metadata": {"finalizers": None}})
        await w.until(lambda: w.find(core.Namespace, "shop", "") is None)

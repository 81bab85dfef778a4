"""Stories of loss: a node that dies, a namespace that is deleted, a Deployment that goes."""

from __future__ import annotations

from tests.flows import screen
from trireme.api.apps import v1 as apps
from trireme.api.core import v1 as core
from trireme.cluster import inprocess
from trireme.machinery import meta
from trireme.testing import virtual


def on(s: screen.Screen, node: str) -> list[core.Pod]:
    return [pod for pod in s.pods() if pod.spec.nodeName == node]


@virtual.test(seed=1)
async def test_a_dead_nodes_pods_move_after_five_minutes(env):
    async with screen.watched(env) as s:
        await s.client.create(screen.deployment(replicas=4))
        await s.client.create(screen.service())
        await s.until(lambda: s.rolled_out() and len(s.addresses()) == 4)
        assert len(on(s, "node-0")) == len(on(s, "node-1")) == 2
        lost = on(s, "node-0")
        await s.cluster.stop("node-0")
        # Noticed after 50 s: traffic goes to those that are left.
        assert 40 <= await s.until(lambda: len(s.addresses()) == 2) <= 60
        # Moved after another five minutes.
        assert 290 <= await s.until(lambda: len(on(s, "node-1")) == 4, 400) <= 310
        await s.until(lambda: len(s.addresses()) == 4)
        names = {pod.metadata.name for pod in lost}
        left = {pod.metadata.name for pod in s.list(core.Pod)}
        # The old ones are not forgotten until somebody says that the node is gone.
        assert names <= left
        await s.client.delete(core.Node, "node-0")
        await s.until(lambda: not names & {pod.metadata.name for pod in s.list(core.Pod)})
        assert s.rolled_out()


@virtual.test(seed=2)
async def test_a_namespace_is_deleted_with_all_in_it(env):
    async with screen.watched(env) as s:
        await s.client.create(core.Namespace(metadata=meta.ObjectMeta(name="shop")))
        await env.clock.sleep(1)
        made = screen.deployment()
        made.metadata.namespace = "shop"
        await s.client.create(made)
        await s.until(lambda: len(s.pods()) == 3)
        await s.until(lambda: all(pod.status.phase == "Running" for pod in s.pods()))
        await s.client.delete(core.Namespace, "shop")
        await s.until(lambda: s.find(core.Namespace, "shop", "") is None)
        for kind in (core.Pod, apps.ReplicaSet, apps.Deployment, core.ConfigMap):
            assert not s.list(kind, "shop")


@virtual.test(seed=3)
async def test_killed_controllers_come_back_and_go_on(env):
    async with screen.watched(env) as s:
        await s.client.create(screen.deployment())
        await s.until(s.rolled_out)
        await s.cluster.stop("controllers")
        await s.image("web:v2")
        await env.clock.sleep(30)
        assert {pod.spec.containers[0].image for pod in s.pods()} == {"web:v1"}
        await inprocess.start_controllers(s.cluster)
        await s.until(s.rolled_out)
        assert {pod.spec.containers[0].image for pod in s.pods()} == {"web:v2"}

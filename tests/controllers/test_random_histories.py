"""Random histories: whatever users do and however requests fail, some things never happen.

A rolling update keeps within its surge and what may be unavailable; evictions keep to the budget;
no volume belongs to two claims, and none goes while a pod uses it. What must hold is looked at
after every single change, in the order of the store. The pods of Jobs, StatefulSets and DaemonSets:
``test_job_history``, ``test_statefulset_plan``, ``test_daemonset_plan``.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.controllers import harness, test_disruption, test_volumes
from tests.controllers.harness import World
from tests.controllers.test_fault_injection import Flaky, Weather
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.apps.v1.replicaset import ReplicaSet
from trireme.api.core import v1 as core
from trireme.api.core.v1.persistentvolume_types import PersistentVolume
from trireme.api.core.v1.persistentvolumeclaim_types import PersistentVolumeClaim
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget
from trireme.cluster import local_path
from trireme.domain import pods
from trireme.kit.env import Env
from trireme.machinery import errors, meta
from trireme.testing import virtual

SEEDS = range(8)


def always(w: World, holds: Callable[[], None], *kinds: type) -> list[str]:
    """What did not hold, after any change of an object of these kinds."""
    broken: list[str] = []

    def look(_event: Any) -> None:
        try:
            holds()
        except AssertionError as problem:
            broken.append(str(problem))

    for kind in kinds:
        w.informers.of(kind).add_handler(look)
    return broken


def ready(w: World) -> list[core.Pod]:
    return [pod for pod in w.pods(app="web") if pods.is_ready(pod)]


async def quietly(request: Any) -> None:
    """What a user does, who may be late."""
    with contextlib.suppress(errors.ApiError):
        await request


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rollout_keeps_to_its_surge_and_what_may_be_unavailable(seed: int) -> None:
    async def story(env: Env) -> None:
        # Who got no answer to a write does not count what it did, as upstream.
        weather = Weather(env.rng, silent=False)
        async with harness.world(env, through=lambda inner: Flaky(inner, weather)) as w:
            replicas = env.rng.randint(1, 7)
            surge = env.rng.randint(0, 3)
            unavailable = env.rng.randint(0 if surge else 1, 3)
            strategy = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
            await w.client.create(harness.deployment(replicas=replicas, strategy=strategy))
            await w.until(lambda: len(ready(w)) == replicas)

            def holds() -> None:
                # Of pods that a ReplicaSet has yet to delete the surge does not count, as upstream.
                desired = sum(item.spec.replicas for item in w.list(ReplicaSet))
                assert desired <= replicas + surge, f"{desired} pods are desired"
                assert len(ready(w)) >= replicas - unavailable, f"{len(ready(w))} ready"

            broken = always(w, holds, core.Pod, ReplicaSet)
            weather.bad = 0.15
            for number in range(5):
                # Each is new: one that comes back while its pods go may lose some more.
                container = {"name": "main", "image": f"new{number}"}
                change: dict[str, Any] = {"template": {"spec": {"containers": [container]}}}
                if env.rng.random() < 0.3:
                    change["paused"] = env.rng.random() < 0.5
                await w.client.patch(Deployment, "web", "default", {"spec": change}, "strategic")
                await env.clock.sleep(env.rng.uniform(0, 15))
                if env.rng.random() < 0.3:
                    await w.stop_controllers()
                    await w.start_controllers()
            weather.bad = 0.0
            await w.client.patch(Deployment, "web", "default", {"spec": {"paused": False}})

            def done() -> bool:
                status = w.get(Deployment, "web").status
                return bool(status.updatedReplicas == status.replicas == len(ready(w)) == replicas)

            await w.until(done, 3000.0)
            assert broken == []

    virtual.run(story, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_evictions_keep_to_the_budget(seed: int) -> None:
    async def story(env: Env) -> None:
        weather = Weather(env.rng)
        async with harness.world(env, through=lambda inner: Flaky(inner, weather)) as w:
            replicas = env.rng.randint(2, 7)
            least = env.rng.randint(1, replicas)
            budget = env.rng.choice([{"minAvailable": least}, {"maxUnavailable": replicas - least}])
            await w.client.create(harness.deployment(replicas=replicas))
            await w.client.create(test_disruption.budget(**budget))
            await w.until(lambda: len(ready(w)) == replicas)

            def holds() -> None:
                assert len(ready(w)) >= least, f"{len(ready(w))} of {least}"

            async def drain() -> None:
                """One of several, who do not know of each other."""
                rng = env.rng
                for _ in range(12):
                    await env.clock.sleep(rng.uniform(0, 4))
                    found = w.pods(app="web")
                    if found:
                        name = rng.choice(found).metadata.name
                        await quietly(test_disruption.evict(w, name))

            broken = always(w, holds, core.Pod, PodDisruptionBudget)
            weather.bad = 0.15
            for _ in range(3):
                w.beside(drain())
            await env.clock.sleep(60.0)
            weather.bad = 0.0
            await w.until(lambda: len(ready(w)) == replicas, 3000.0)
            assert broken == []

    virtual.run(story, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_volume_has_two_claims_and_none_goes_while_it_is_used(seed: int) -> None:
    async def story(env: Env) -> None:
        weather, rng = Weather(env.rng), env.rng
        ours = local_path.definition(Path("/srv"), local_path.NoFiles())
        async with harness.world(
            env, through=lambda inner: Flaky(inner, weather), extra=(ours,)
        ) as w:
            for item in local_path.objects():
                await w.client.create(item)
            w.list(PersistentVolume)
            # By claim, the volume that a pod of it was seen running with.
            used: dict[str, str] = {}

            def holds() -> None:
                claims = w.list(PersistentVolumeClaim)
                volumes = {item.metadata.name: item for item in w.list(PersistentVolume)}
                named = Counter(item.spec.volumeName for item in claims if item.spec.volumeName)
                twice = [name for name, count in named.items() if count > 1]
                assert not twice, f"of two claims: {twice}"
                running = {
                    volume.persistentVolumeClaim.claimName
                    for pod in w.list(core.Pod)
                    if pod.status.phase == "Running"
                    for volume in pod.spec.volumes
                    if volume.persistentVolumeClaim is not None
                }
                for claim in claims:
                    name, volume = claim.metadata.name, claim.spec.volumeName
                    if name not in running or claim.status.phase != "Bound":
                        used.pop(name, None)
                    elif name not in used and volume in volumes:
                        used[name] = volume
                for name, volume in used.items():
                    if name in running:
                        assert volume in volumes, f"{volume} of {name} is gone"

            broken = always(w, holds, PersistentVolumeClaim, PersistentVolume, core.Pod)
            weather.bad = 0.15
            for number in range(30):
                await env.clock.sleep(rng.uniform(0, 3))
                name = f"c{rng.randrange(4)}"
                match rng.randrange(6):
                    case 0:
                        volume = test_volumes.volume(f"v{number}", rng.choice(("1Gi", "2Gi")))
                        await quietly(w.client.create(volume))
                    case 1:
                        of = rng.choice(("", local_path.CLASS))
                        claim = test_volumes.claim(name, storageClassName=of)
                        annotation = {"volume.kubernetes.io/selected-node": "node-0"}
                        claim.metadata.annotations = annotation if of else {}
                        await quietly(w.client.create(claim))
                    case 2:
                        user = test_volumes.pod(f"p-{name}", test_volumes.of_claim(name))
                        await quietly(w.client.create(user))
                    case 3:
                        await quietly(w.client.delete(core.Pod, f"p-{name}", "default"))
                    case 4:
                        await quietly(w.client.delete(PersistentVolumeClaim, name, "default"))
                    case 5:
                        found = w.list(PersistentVolume)
                        if found:
                            place = rng.choice(found).metadata
                            only = meta.Preconditions(uid=place.uid)
                            options = meta.DeleteOptions(preconditions=only)
                            await quietly(
                                w.client.delete(PersistentVolume, place.name, None, options)
                            )
            weather.bad = 0.0
            await env.clock.sleep(5.0)
            for item in w.list(core.Pod):
                await quietly(w.client.delete(core.Pod, item.metadata.name, "default"))
            for item in w.list(PersistentVolumeClaim):
                name = item.metadata.name
                await quietly(w.client.delete(PersistentVolumeClaim, name, "default"))
            await w.until(lambda: not w.list(PersistentVolumeClaim), 3000.0)
            # Those that were made for claims go with them, the others stay.
            await w.until(
                lambda: all(v.metadata.name.startswith("v") for v in w.list(PersistentVolume)),
                3000.0,
            )
            assert broken == []

    virtual.run(story, seed=seed)

"""ResourceClaims of pods: made, named, reserved, released, deallocated, deleted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.controllers import harness
from trireme.api.core import v1 as core
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.resourceclaimtemplate import ResourceClaimTemplate
from trireme.controllers.devices import plan_claims
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.testing import virtual

DEVICES = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.x.io"}}]}}
ALLOCATION = {
    "devices": {"results": [{"request": "gpu", "driver": "x.io", "pool": "p", "device": "d0"}]}
}
POD = {"resource": "pods", "name": "p", "uid": "u"}


def template(name: str = "gpus", admin: bool = False) -> ResourceClaimTemplate:
    spec: dict[str, Any] = {
        "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
        "spec": DEVICES,
    }
    body = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
    return msgspec.convert(body, ResourceClaimTemplate)


def pod(name: str = "p", **more: Any) -> core.Pod:
    claims = more.pop("claims", [{"name": "gpu", "resourceClaimTemplateName": "gpus"}])
    body = {
        "metadata": {"name": name, "namespace": "default", "uid": "u", **more.pop("metadata", {})},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "resourceClaims": claims,
            **more.pop("spec", {}),
        },
        "status": more.pop("status", {}),
    }
    return msgspec.convert(body, core.Pod)


def claim(
    name: str = "own", status: dict[str, Any] | None = None, **metadata: Any
) -> ResourceClaim:
    metadata = {"name": name, "namespace": "default", **metadata}
    body = {"metadata": metadata, "spec": DEVICES, "status": status or {}}
    return msgspec.convert(body, ResourceClaim)


OWNER: dict[str, Any] = {
    "ownerReferences": [
        {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}
    ]
}


@pytest.mark.parametrize(
    ("pod_name", "item", "prefix"),
    [
        ("p", "gpu", "p-gpu-"),
        ("p" * 40, "g" * 15, "p" * 40 + "-" + "g" * 15 + "-"),
        ("p" * 60, "g" * 20, "p" * 41 + "-" + "g" * 13),
    ],
)
def test_the_prefix_of_a_generated_name(pod_name: str, item: str, prefix: str) -> None:
    owner = pod(pod_name, claims=[{"name": item, "resourceClaimTemplateName": "gpus"}])
    made = plan_claims.compute_claim(owner, owner.spec.resourceClaims[0], template())
    assert made.metadata.generateName == prefix
    assert made.metadata.labels == {"a": "b"}
    assert made.metadata.annotations == {"c": "d", plan_claims.ANNOTATION: item}
    (reference,) = made.metadata.ownerReferences
    assert (reference.kind, reference.controller, reference.blockOwnerDeletion) == (
        "Pod",
        True,
        None,
    )


def statuses(**names: str | None) -> dict[str, Any]:
    items = [{"name": item, "resourceClaimName": name} for item, name in names.items()]
    return {"resourceClaimStatuses": items}


MINE = claim("p-gpu-1", **OWNER, annotations={plan_claims.ANNOTATION: "gpu"})
OTHERS = claim("p-gpu-1", annotations={plan_claims.ANNOTATION: "gpu"})


@pytest.mark.parametrize(
    ("of", "there", "names", "creates"),
    [
        (pod(), [], {}, ["gpu"]),
        (pod(), [MINE], {"gpu": "p-gpu-1"}, []),
        (pod(status=statuses(gpu="p-gpu-1")), [MINE], {"gpu": "p-gpu-1"}, []),
        # It was deleted: made again. It is another pod's: another is made.
        (pod(status=statuses(gpu="p-gpu-1")), [], {}, ["gpu"]),
        (pod(status=statuses(gpu="p-gpu-1")), [OTHERS], {}, ["gpu"]),
        # None is needed; and a user's claim is the user's business.
        (pod(status=statuses(gpu=None)), [], {}, []),
        (pod(claims=[{"name": "gpu", "resourceClaimName": "own"}]), [], {}, []),
    ],
)
def test_what_a_pod_lacks(
    of: core.Pod, there: list[ResourceClaim], names: dict[str, str], creates: list[str]
) -> None:
    by_name = {item.metadata.name: item for item in there}
    owned = [item for item in there if item.metadata.ownerReferences]
    plan = plan_claims.plan_pod(of, by_name.get, owned)
    assert (plan.names, [item.name for item in plan.create]) == (names, creates)


@pytest.mark.parametrize(
    ("of", "reserved"),
    [
        ({"allocation": ALLOCATION}, True),
        ({}, False),
        ({"allocation": ALLOCATION, "reservedFor": [POD]}, False),
    ],
)
def test_a_pod_bound_without_the_scheduler_reserves(of: dict[str, Any], reserved: bool) -> None:
    claims = [{"name": "gpu", "resourceClaimName": "own"}]
    by_name = {"own": claim(status=of)}
    bound = pod(claims=claims, spec={"nodeName": "n"})
    assert bool(plan_claims.plan_reservations(bound, by_name.get)) is reserved
    assert plan_claims.plan_reservations(pod(claims=claims), by_name.get) == []


USED = {"allocation": ALLOCATION, "reservedFor": [POD]}
KEPT: dict[str, Any] = {"finalizers": [plan_claims.FINALIZER]}
DELETED: dict[str, Any] = {"deletionTimestamp": "2024-01-01T00:00:00Z"}
RUNS, DONE = pod(), pod(status={"phase": "Succeeded"})


@pytest.mark.parametrize(
    ("of", "gone", "owner", "desired"),
    [
        # (consumers and allocation left in the status to write, finalizer goes, claim goes)
        (claim(status=USED, **KEPT), set(), None, (None, False, False)),
        (claim(status=USED, **KEPT), {"u"}, None, ((0, False), True, False)),
        # Without the finalizer another allocated it.
        (claim(status=USED), {"u"}, None, ((0, True), False, False)),
        # Allocated before anybody uses it: stays so, until it is deleted.
        (claim(status={"allocation": ALLOCATION}, **KEPT), set(), None, (None, False, False)),
        (
            claim(status={"allocation": ALLOCATION}, **KEPT, **DELETED),
            set(),
            None,
            ((0, False), True, False),
        ),
        (claim(**KEPT, **DELETED), set(), None, (None, True, False)),
        (claim(**OWNER), set(), RUNS, (None, False, False)),
        (claim(**OWNER), set(), DONE, (None, False, True)),
        (claim(**OWNER, **DELETED), set(), DONE, (None, False, False)),
        (claim(**OWNER, status=USED, **KEPT), {"u"}, DONE, ((0, False), True, True)),
    ],
)
def test_what_becomes_of_a_claim(
    of: ResourceClaim, gone: set[str], owner: core.Pod | None, desired: Any
) -> None:
    plan = plan_claims.plan_claim(of, gone, owner)
    status = plan.status
    left = status and (len(status.reservedFor), status.allocation is not None)
    assert (left, plan.drop_finalizer, plan.delete) == desired


def test_only_pods_are_removed_from_a_reservation() -> None:
    other = {"apiGroup": "example.com", "resource": "things", "name": "x", "uid": "x"}
    status = {"allocation": ALLOCATION, "reservedFor": [POD, other]}
    plan = plan_claims.plan_claim(claim(status=status, **KEPT), {"u"}, None)
    assert plan.status is not None
    assert [item.uid for item in plan.status.reservedFor] == ["x"]
    assert plan.status.allocation is not None
    assert not plan.drop_finalizer


def test_the_claims_of_a_pod_from_its_creation_to_its_end() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env) as w:
            claims = w.informers.of(ResourceClaim)
            await w.client.create(pod())
            await w.until(lambda: "FailedResourceClaimCreation" in w.reasons("p"))
            assert w.messages("p") == [
                'PodResourceClaim gpu: resource claim template "gpus": '
                'resourceclaimtemplate.resource.k8s.io "gpus" not found'
            ]
            await w.client.create(template())
            await w.until(lambda: w.get(core.Pod, "p").status.resourceClaimStatuses)
            (status,) = w.get(core.Pod, "p").status.resourceClaimStatuses
            (made,) = claims.list("default")
            assert (status.name, status.resourceClaimName) == ("gpu", made.metadata.name)
            live = await w.client.get(core.Pod, "p", "default")
            assert "ResourceClaimController" in {m.manager for m in live.metadata.managedFields}

            # The scheduler, which is not here, allocates it; the pod is bound without it.
            metadata = msgspec.structs.replace(made.metadata, finalizers=[plan_claims.FINALIZER])
            kept = await w.client.update(msgspec.structs.replace(made, metadata=metadata))
            allocated = msgspec.convert({"allocation": ALLOCATION}, type(kept.status))
            await w.client.update_status(msgspec.structs.replace(kept, status=allocated))
            await w.until(lambda: claims.list()[0].status.reservedFor)
            (consumer,) = claims.list()[0].status.reservedFor
            assert (consumer.resource, consumer.name) == ("pods", "p")

            change = {"status": {"phase": "Succeeded"}}
            await w.client.patch(core.Pod, "p", "default", change, "strategic", "status")
            await w.until(lambda: not claims.list())

    virtual.run(story)


def test_a_claim_of_a_user_stays_and_is_free_again() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env, plays="") as w:
            claims = w.informers.of(ResourceClaim)
            await w.node("node-0")
            user = await w.client.create(claim(**KEPT))
            made = await w.client.create(pod(claims=[{"name": "gpu", "resourceClaimName": "own"}]))
            used = {
                "allocation": ALLOCATION,
                "reservedFor": [{**POD, "uid": made.metadata.uid}],
            }
            status = msgspec.convert(used, type(user.status))
            await w.client.update_status(msgspec.structs.replace(user, status=status))
            await w.quiet(30.0)
            assert claims.list()[0].status.reservedFor
            await w.client.delete(core.Pod, "p", "default")
            await w.until(lambda: not claims.list()[0].status.reservedFor)
            await w.until(lambda: not claims.list()[0].metadata.finalizers)
            assert claims.list()[0].status.allocation is None

    virtual.run(story)


def test_a_consumer_that_never_was_is_removed_after_asking() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env) as w:
            claims = w.informers.of(ResourceClaim)
            made = await w.client.create(claim(**KEPT))
            status = msgspec.convert(USED, type(made.status))
            await w.client.update_status(msgspec.structs.replace(made, status=status))
            await w.until(lambda: claims.list() and not claims.list()[0].metadata.finalizers)
            await w.client.delete(ResourceClaim, "own", "default")
            with pytest.raises(errors.ApiError):
                await w.client.get(ResourceClaim, "own", "default")

    virtual.run(story)

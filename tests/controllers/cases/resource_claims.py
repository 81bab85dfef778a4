"""ResourceClaims of pods: one for each item, and none when the pod has ended."""

from __future__ import annotations

from collections import Counter

import msgspec

from tests.controllers import harness
from tests.controllers.contract import Case, Step
from tests.controllers.harness import World
from trireme.api.core import v1 as core
from trireme.api.resource.v1.resourceclaim_types import ResourceClaim
from trireme.api.resource.v1.resourceclaimtemplate import ResourceClaimTemplate
from trireme.controllers.devices import plan_claims

ITEMS = ("gpu", "nic")
TEMPLATE = {
    "metadata": {"name": "one", "namespace": "default"},
    "spec": {
        "spec": {
            "devices": {
                "requests": [{"name": "x", "exactly": {"deviceClassName": "x.example.com"}}]
            }
        }
    },
}
POD = {
    "metadata": {"name": "p", "namespace": "default"},
    "spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "main", "image": "v1"}],
        "resourceClaims": [{"name": item, "resourceClaimTemplateName": "one"} for item in ITEMS],
    },
}


async def create(w: World) -> None:
    await w.client.create(msgspec.convert(TEMPLATE, ResourceClaimTemplate))
    await w.client.create(msgspec.convert(POD, core.Pod))


def named(w: World) -> bool:
    pod = w.find(core.Pod, "p")
    if pod is None:
        return False
    names = {item.name: item.resourceClaimName for item in pod.status.resourceClaimStatuses}
    made = {
        claim.metadata.annotations[plan_claims.ANNOTATION]: claim.metadata.name
        for claim in w.list(ResourceClaim)
    }
    return set(names) == set(ITEMS) and names == made


async def end(w: World) -> None:
    change = {"metadata": {"annotations": {harness.ENDS: "Succeeded"}}}
    await w.client.patch(core.Pod, "p", "default", change)


def holds(w: World) -> None:
    """One that was created without an answer is found by its owner, not made again."""
    items = [c.metadata.annotations[plan_claims.ANNOTATION] for c in w.list(ResourceClaim)]
    assert not items or max(Counter(items).values()) == 1, items


CASE = Case(
    name="resource-claims",
    controller="resourceclaim-controller",
    children=ResourceClaim,
    steps=(
        Step(act=create, done=named),
        Step(act=end, done=lambda w: not w.list(ResourceClaim)),
    ),
    holds=holds,
)

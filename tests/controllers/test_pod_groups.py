"""PodGroups: they are there as long as their pods, and of a Workload that is there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.controllers import harness
from trireme.api.core import v1 as core
from trireme.api.scheduling.v1alpha2 import podgroup
from trireme.api.scheduling.v1alpha2.podgroup import PodGroup
from trireme.api.scheduling.v1alpha2.workload import Workload
from trireme.controllers.workloads import pod_groups
from trireme.kit.env import Env
from trireme.machinery import errors
from trireme.runtime.keys import Key
from trireme.testing import virtual

GATE = "GenericWorkload"


def group(workload: str = "", template: str = "workers") -> PodGroup:
    spec: dict[str, Any] = {"schedulingPolicy": {"basic": {}}}
    if workload:
        named = {"workloadName": workload, "podGroupTemplateName": template}
        spec["podGroupTemplateRef"] = {"workload": named}
    body = {"metadata": {"name": "g", "namespace": "default"}, "spec": spec}
    return msgspec.convert(body, PodGroup)


def workload() -> Workload:
    template = {"name": "workers", "schedulingPolicy": {"basic": {}}}
    body = {
        "metadata": {"name": "w", "namespace": "default"},
        "spec": {"podGroupTemplates": [template]},
    }
    return msgspec.convert(body, Workload)


@pytest.mark.parametrize(("phase", "keeps"), [("Running", True), ("Succeeded", False)])
def test_pods_that_run_keep_their_group(phase: str, keeps: bool) -> None:
    body = {
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {"containers": [], "schedulingGroup": {"podGroupName": "g"}},
        "status": {"phase": phase},
    }
    found = list(pod_groups.by_group(msgspec.convert(body, core.Pod)))
    assert found == ([Key("default", "g")] if keeps else [])


def test_a_group_without_pods_goes() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env, gates=(GATE,)) as w:
            made = await w.client.create(group())
            assert made.metadata.finalizers == [podgroup.PROTECTION]
            await w.until(lambda: w.list(PodGroup))
            await w.client.delete(PodGroup, "g", "default")
            await w.until(lambda: not w.list(PodGroup))

    virtual.run(story)


def test_the_workload_is_there_and_has_the_template() -> None:
    async def story(env: Env) -> None:
        async with harness.world(env, gates=(GATE,)) as w:

            async def refused(of: PodGroup) -> str:
                with pytest.raises(errors.ApiError) as caught:
                    await w.client.create(of)
                assert caught.value.code == 403
                return caught.value.message

            text = 'podgroups.scheduling.k8s.io "g" is forbidden: PodGroup rejected: '
            assert await refused(group("w")) == text + 'Workload "w" not found'
            await w.client.create(workload())
            assert await refused(group("w", "others")) == (
                text + 'PodGroupTemplate "others" not found in Workload "w"'
            )
            await w.client.create(group("w"))

    virtual.run(story)

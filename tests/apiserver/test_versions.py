"""Kinds in versions that are not the stored one: written, read, watched and patched in any."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec

from tests.apiserver.conftest import ADMIN, Asker
from trireme.apiserver import chain
from trireme.apiserver.reply.reply import StreamReply
from trireme.apiserver.request import Request
from trireme.kit.env import Env

V1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
V2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
NEW = "/apis/events.k8s.io/v1/namespaces/default/events"
OLD = "/api/v1/namespaces/default/events"
ANNOTATION = "autoscaling.alpha.kubernetes.io/"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}

Asking = Callable[..., Any]


def event(**more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "reportingController": "example.com/me",
        "reportingInstance": "me-1",
        "action": "Doing",
        "reason": "Because",
        "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
        "note": "it is so",
        "type": "Normal",
        **more,
    }


async def test_an_autoscaler_of_v1_has_a_metric_in_v2(asking: Asking) -> None:
    async with asking(Env()) as ask:
        obj = {
            "apiVersion": "autoscaling/v1",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "a"},
            "spec": {"scaleTargetRef": TARGET, "maxReplicas": 3},
        }
        made = await ask.must("POST", V1, obj)
        assert made["apiVersion"] == "autoscaling/v1"
        assert made["spec"]["targetCPUUtilizationPercentage"] == 80
        new = await ask.must("GET", f"{V2}/a")
        assert new["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
        assert new["metadata"]["uid"] == made["metadata"]["uid"]
        listed = await ask.must("GET", V1)
        assert listed["apiVersion"] == "autoscaling/v1"
        assert listed["items"][0]["spec"]["minReplicas"] == 1


async def test_what_v1_has_no_field_for_survives_a_write_in_v1(asking: Asking) -> None:
    metrics = [
        {"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": {
            "type": "AverageValue", "averageValue": "10"}}},
        {"type": "Resource", "resource": {"name": "cpu", "target": {
            "type": "Utilization", "averageUtilization": 50}}},
    ]  # fmt: skip
    async with asking(Env()) as ask:
        obj = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "a"},
            "spec": {
                "scaleTargetRef": TARGET,
                "maxReplicas": 3,
                "metrics": metrics,
                "behavior": {"scaleDown": {"selectPolicy": "Min"}},
            },
        }
        made = await ask.must("POST", V2, obj)
        old = await ask.must("GET", f"{V1}/a")
        notes = old["metadata"]["annotations"]
        assert json.loads(notes[f"{ANNOTATION}metrics"]) == [
            {"type": "Pods", "pods": {"metricName": "hits", "targetAverageValue": "10"}}
        ]
        assert json.loads(notes[f"{ANNOTATION}behavior"])["ScaleDown"]["SelectPolicy"] == "Min"
        assert old["spec"]["targetCPUUtilizationPercentage"] == 50
        old["spec"]["maxReplicas"] = 5
        await ask.must("PUT", f"{V1}/a", old)
        new = await ask.must("GET", f"{V2}/a")
        assert new["spec"] == made["spec"] | {"maxReplicas": 5}
        assert "annotations" not in new["metadata"]


async def test_a_patch_is_of_the_version_that_it_is_sent_to(asking: Asking) -> None:
    async with asking(Env()) as ask:
        await ask.must("POST", NEW, event())
        status, patched = await ask(
            "PATCH",
            f"{NEW}/e",
            {"series": {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000000Z"}},
            {"content-type": "application/merge-patch+json"},
        )
        assert status == 200, patched
        assert patched["series"]["count"] == 2
        old = await ask.must("GET", f"{OLD}/e")
        assert (old["series"]["count"], old["message"]) == (2, "it is so")


async def test_the_newer_version_of_events_is_validated_more_strictly(asking: Asking) -> None:
    async with asking(Env()) as ask:
        status, refused = await ask("POST", NEW, event(type="Odd", deprecatedCount=3))
        assert status == 422
        fields = {cause["field"] for cause in refused["details"]["causes"]}
        assert fields == {"type", "count"}
        await ask.must("POST", NEW, event())
        changed = await ask.must("GET", f"{NEW}/e")
        status, refused = await ask("PUT", f"{NEW}/e", changed | {"note": "another"})
        assert (status, refused["details"]["causes"][0]["field"]) == (422, "message")
        old = await ask.must("GET", f"{OLD}/e")
        await ask.must("PUT", f"{OLD}/e", old | {"message": "another"})


async def test_each_version_has_field_labels_of_its_own(asking: Asking) -> None:
    async with asking(Env()) as ask:
        await ask.must("POST", NEW, event())
        found = await ask.must("GET", f"{NEW}?fieldSelector=regarding.name%3Dp")
        assert [item["note"] for item in found["items"]] == ["it is so"]
        found = await ask.must("GET", f"{NEW}?fieldSelector=regarding.name%3Dq")
        assert found["items"] == []
        found = await ask.must("GET", f"{OLD}?fieldSelector=involvedObject.name%3Dp")
        assert [item["message"] for item in found["items"]] == ["it is so"]
        status, refused = await ask("GET", f"{NEW}?fieldSelector=involvedObject.name%3Dp")
        assert status == 400
        assert refused["message"] == "field label not supported: involvedObject.name"


async def test_a_watch_is_in_the_version_that_is_watched(asking: Asking) -> None:
    async with asking(Env()) as ask:
        received = await watched(ask, NEW, OLD)
        assert [item["object"]["apiVersion"] for item in received] == ["events.k8s.io/v1", "v1"]
        assert (received[0]["object"]["note"], received[1]["object"]["message"]) == (
            "it is so",
        ) * 2


async def watched(ask: Asker, *paths: str) -> list[Any]:
    """The first event of each watch, after an event was written."""
    streams = []
    for path in paths:
        query = f"watch=1&resourceVersion={ask.server.context.store.revision}"
        answer = await chain.handle(ask.server, Request("GET", path, query, user=ADMIN))
        assert isinstance(answer, StreamReply)
        streams.append(answer.chunks)
    await ask.must("POST", NEW, event())
    received = []
    for chunks in streams:
        received.append(msgspec.json.decode(await anext(chunks)))
        await chunks.aclose()
    return received


async def test_versions_and_kinds_are_turned_on_and_off(asking: Asking) -> None:
    async with asking(Env(), runtime_config={"autoscaling/v1": False}) as ask:
        assert (await ask("GET", V1))[0] == 404
        assert (await ask("GET", V2))[0] == 200
    everything = {"api/all": False, "api/v1": True, "autoscaling/v1": True}
    async with asking(Env(), runtime_config=everything) as ask:
        # The stored version is there all the same.
        assert (await ask("GET", V1))[0] == 200
        assert (await ask("GET", V2))[0] == 404

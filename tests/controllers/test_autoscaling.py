"""The horizontal pod autoscaler: what metrics ask for, how fast it goes there, what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec
import pytest

from tests.controllers import harness
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.autoscaling.v2.horizontalpodautoscaler import HorizontalPodAutoscaler, fill
from trireme.api.autoscaling.v2.hpa_types import HorizontalPodAutoscalerBehavior
from trireme.api.core.v1.pod.pod import Pod
from trireme.client.transport import Response, Transport
from trireme.controllers.autoscaling import compute_replicas, plan_behavior
from trireme.controllers.autoscaling.compute_replicas import PodMetric, Proposal, Rules
from trireme.controllers.autoscaling.plan_behavior import History
from trireme.kit.env import Env
from trireme.machinery import time
from trireme.testing import virtual
from trireme.testing.transports import PassThrough

NOW = 1_900_000_000.0
RULES = Rules(0.1, 0.1, 300.0, 30.0, NOW)


def pod(
    name: str, cpu: str = "1", *, phase: str = "Running", ready: bool = True, age: float = 1000.0,
    since: float = 900.0,
) -> Pod:  # fmt: skip
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "lastTransitionTime": time.format(NOW - since),
    }
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
    body = {
        "metadata": {"name": name},
        "spec": {"containers": [container]},
        "status": {
            "phase": phase, "startTime": time.format(NOW - age), "conditions": [condition],
        },
    }  # fmt: skip
    return msgspec.convert(body, Pod)


def measured(*values: int, window: float = 60.0) -> dict[str, PodMetric]:
    """Of pods p0, p1, ...; a negative one is not measured."""
    return {
        f"p{i}": PodMetric(NOW - 30, window, value) for i, value in enumerate(values) if value >= 0
    }


def pods(count: int, **more: Any) -> list[Pod]:
    return [pod(f"p{i}", **more) for i in range(count)]


@pytest.mark.parametrize(
    ("selected", "metrics", "target", "expected"),
    [
        # Each uses what it requests, and should use a half.
        (pods(3), measured(1000, 1000, 1000), 50, Proposal(6, 1000, 100)),
        (pods(3), measured(300, 300, 300), 50, Proposal(2, 300, 30)),
        # Within a tenth of the target.
        (pods(3), measured(540, 540, 540), 50, Proposal(3, 540, 54)),
        # One is not measured: it is assumed idle on the way up, and busy on the way down.
        (pods(3), measured(1000, 1000, -1), 50, Proposal(4, 1000, 100)),
        (pods(3), measured(100, 100, -1), 50, Proposal(3, 100, 10)),
        # One is starting: on the way up it is assumed idle.
        (
            [*pods(2), pod("p2", phase="Pending")],
            measured(1000, 1000, -1),
            50,
            Proposal(4, 1000, 100),
        ),
        # What was assumed turns the change around.
        (pods(3), measured(600, 600, -1), 50, Proposal(3, 600, 60)),
        # Pods that go or failed count for nothing.
        ([*pods(2), pod("p2", phase="Failed")], measured(1000, 1000, 9000), 50,
         Proposal(4, 1000, 100)),
        # A new pod that is not ready yet, and one whose measurement began before it was ready.
        ([*pods(2), pod("p2", age=60, ready=False)], measured(1000, 1000, 9000), 50,
         Proposal(4, 1000, 100)),
        ([*pods(2), pod("p2", age=60, since=40)], measured(1000, 1000, 9000), 50,
         Proposal(4, 1000, 100)),
    ],
)  # fmt: skip
def test_utilization(
    selected: list[Pod], metrics: dict[str, PodMetric], target: int, expected: Proposal
) -> None:
    found = compute_replicas.of_utilization(RULES, selected, metrics, "cpu", "", 3, target)
    assert found == expected


@pytest.mark.parametrize(
    ("selected", "metrics", "container", "detail"),
    [
        ([], measured(1), "", "no pods returned by selector while calculating replica count"),
        (
            [pod("p0", phase="Pending")],
            measured(1),
            "",
            "did not receive metrics for targeted pods (pods might be unready)",
        ),
        (pods(1), measured(1), "x", "container x not found in Pod p0"),
        (
            [msgspec.convert({"metadata": {"name": "p0"},
                              "spec": {"containers": [{"name": "c"}]}}, Pod)],
            measured(1),
            "",
            "did not receive metrics for targeted pods (pods might be unready)",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_computed(
    selected: list[Pod], metrics: dict[str, PodMetric], container: str, detail: str
) -> None:
    with pytest.raises(ValueError) as raised:
        compute_replicas.of_utilization(RULES, selected, metrics, "cpu", container, 3, 50)
    assert str(raised.value) == detail


def test_a_request_is_missing() -> None:
    selected = pods(1)
    selected[0].spec.containers[0].resources.requests.clear()
    with pytest.raises(ValueError, match="missing request for cpu in container c of Pod p0"):
        compute_replicas.of_utilization(RULES, selected, measured(1), "cpu", "", 3, 50)


def test_averages_and_values() -> None:
    assert compute_replicas.of_average(RULES, pods(2), measured(300, 500), "", 2, 200) == Proposal(
        4, 400
    )
    assert compute_replicas.of_value(RULES, pods(2), 2, 900, 300) == Proposal(6, 900)
    assert compute_replicas.of_value(RULES, pods(2), 2, 310, 300) == Proposal(2, 310)
    assert compute_replicas.of_value(RULES, [], 0, 900, 400) == Proposal(3, 900)
    assert compute_replicas.of_value_per_pod(RULES, 2, 1000, 250) == Proposal(4, 500)
    assert compute_replicas.of_value_per_pod(RULES, 4, 1000, 250) == Proposal(4, 250)


def behavior(**rules: Any) -> HorizontalPodAutoscalerBehavior:
    made = msgspec.convert(rules, HorizontalPodAutoscalerBehavior)
    fill(made)
    return made


def decide(
    history: History, rules: HorizontalPodAutoscalerBehavior | None, current: int, proposed: int,
    now: float = NOW, bounds: tuple[int, int] = (1, 100),
) -> tuple[int, str, str]:  # fmt: skip
    found = plan_behavior.decide(history, rules, current, proposed, bounds, 300.0, now)
    return found.replicas, found.able[0], found.limit[0]


def test_without_behavior_it_doubles_at_most_and_goes_down_late() -> None:
    history = History()
    assert decide(history, None, 3, 50) == (6, "ReadyForNewScale", "ScaleUpLimit")
    assert decide(history, None, 1, 50) == (4, "ReadyForNewScale", "ScaleUpLimit")
    assert decide(history, None, 60, 500) == (100, "ReadyForNewScale", "TooManyReplicas")
    later = NOW + 100
    assert decide(history, None, 60, 5, later)[:2] == (100, "ScaleDownStabilized")
    later = NOW + 401
    assert decide(History(), None, 60, 0, later) == (1, "ReadyForNewScale", "TooFewReplicas")


def test_policies_limit_the_rate() -> None:
    up = behavior(
        scaleUp={"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]},
        scaleDown={"policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}],
                   "stabilizationWindowSeconds": 0},
    )  # fmt: skip
    history = History()
    assert decide(history, up, 10, 50) == (12, "ReadyForNewScale", "ScaleUpLimit")
    history.note(up, 2, NOW)
    # In the same minute nothing more; after it, two more.
    assert decide(history, up, 12, 50, NOW + 30)[0] == 12
    assert decide(history, up, 12, 50, NOW + 61)[0] == 14
    assert decide(History(), up, 100, 1) == (90, "ReadyForNewScale", "ScaleDownLimit")
    assert decide(History(), up, 3, 1) == (2, "ReadyForNewScale", "ScaleDownLimit")
    disabled = behavior(scaleDown={"selectPolicy": "Disabled"})
    assert decide(History(), disabled, 10, 1)[0] == 10
    least = behavior(
        scaleUp={
            "selectPolicy": "Min",
            "policies": [
                {"type": "Pods", "value": 2, "periodSeconds": 60},
                {"type": "Percent", "value": 100, "periodSeconds": 60},
            ],
        }
    )
    assert decide(History(), least, 10, 50)[0] == 12


def test_windows_hold_on_to_what_was_recommended() -> None:
    rules = behavior(
        scaleUp={"stabilizationWindowSeconds": 60}, scaleDown={"stabilizationWindowSeconds": 120}
    )
    history = History()
    assert decide(history, rules, 10, 10)[0] == 10
    assert decide(history, rules, 10, 20, NOW + 30)[:2] == (10, "ScaleUpStabilized")
    assert decide(history, rules, 10, 20, NOW + 70)[:2] == (20, "ReadyForNewScale")
    assert decide(history, rules, 20, 5, NOW + 100)[:2] == (20, "ScaleDownStabilized")
    assert decide(history, rules, 20, 5, NOW + 200)[0] == 5


class Measured(PassThrough):
    """A transport behind which the three metrics APIs answer: what an adapter would serve."""

    def __init__(self, inner: Transport, values: dict[str, Any]) -> None:
        super().__init__(inner)
        self._values = values

    async def request(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        for prefix, answer in self._values.items():
            if path.startswith(prefix):
                found = answer(unquote(path), parse_qs(query)) if callable(answer) else answer
                return Response(
                    200, {"content-type": "application/json"}, msgspec.json.encode(found)
                )
        return await super().request(method, path, query, headers, body)


def autoscaler(*metrics: dict[str, Any], **spec: Any) -> HorizontalPodAutoscaler:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    body = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 10, "metrics": list(metrics)} | spec,
    }
    return msgspec.convert(body, HorizontalPodAutoscaler)


CPU = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
}


def web(replicas: int = 2) -> Deployment:
    made: Deployment = harness.deployment(replicas=replicas)
    made.spec.template.spec.containers[0].resources.requests = {"cpu": "1"}
    return made


async def status(world: harness.World) -> Any:
    return (await world.client.get(HorizontalPodAutoscaler, "web", "default")).status


def conditions(found: Any) -> dict[str, tuple[str, str]]:
    return {item.type: (item.status, item.reason) for item in found.conditions}


async def replicas(world: harness.World) -> int:
    found = await world.client.get(Deployment, "web", "default")
    return int(found.spec.replicas or 0)


@virtual.test()
async def test_it_follows_the_load(env: Env) -> None:
    load = {"cpu": "1"}

    def usage(_path: str, query: dict[str, list[str]]) -> Any:
        assert query["labelSelector"] == ["app=web"]
        now = time.format(env.clock.now())
        return {
            "metadata": {},
            "items": [
                {
                    "metadata": {"name": item.metadata.name},
                    "timestamp": now,
                    "window": "10s",
                    "containers": [{"name": "c", "usage": load}],
                }
                for item in world.pods()
            ],
        }

    values: dict[str, Any] = {"/apis/metrics.k8s.io/v1beta1": usage}
    async with harness.world(env, through=lambda inner: Measured(inner, values)) as world:
        await world.client.create(web())
        await env.clock.sleep(5)
        for item in world.pods():
            item = await world.client.get(Pod, item.metadata.name, "default")
            item.status.startTime = item.metadata.creationTimestamp
            await world.client.update_status(item)
        await env.clock.sleep(60)
        await world.client.create(autoscaler(CPU))
        await env.clock.sleep(10)
        # It is looked at for the first time after 15 s.
        assert await replicas(world) == 2
        await env.clock.sleep(10)
        assert await replicas(world) == 4
        assert "New size: 4; reason: cpu resource utilization (percentage of request) above " \
            "target" in world.messages("web")  # fmt: skip
        found = await status(world)
        assert (found.currentReplicas, found.desiredReplicas) == (2, 4)
        assert found.currentMetrics[0].resource.current.averageUtilization == 100
        assert conditions(found) == {
            "AbleToScale": ("True", "SucceededRescale"),
            "ScalingActive": ("True", "ValidMetricFound"),
            "ScalingLimited": ("False", "DesiredWithinRange"),
        }


@virtual.test()
async def test_without_metrics_it_says_so_and_changes_nothing(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(web())
        await world.client.create(autoscaler(CPU))
        await env.clock.sleep(40)
        assert await replicas(world) == 2
        found = await status(world)
        assert conditions(found) == {
            "AbleToScale": ("True", "SucceededGetScale"),
            "ScalingActive": ("False", "FailedGetResourceMetric"),
        }
        detail = (
            "failed to get cpu utilization: unable to get metrics for resource cpu: unable to "
            "fetch metrics from resource metrics API: the server could not find the requested "
            "resource (get pods.metrics.k8s.io)"
        )
        assert found.conditions[1].message == (
            f"the HPA was unable to compute the replica count: {detail}"
        )
        assert detail in world.messages("web")
        assert (
            "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource "
            f"metric value: {detail}"
        ) in world.messages("web")


@virtual.test()
async def test_custom_and_external_metrics(env: Env) -> None:
    def custom(path: str, _query: Any) -> Any:
        if path.endswith("/pods/*/hits"):
            items = [
                {"describedObject": {"name": item.metadata.name}, "value": "30",
                 "timestamp": time.format(env.clock.now())}
                for item in world.pods()
            ]  # fmt: skip
            return {"items": items}
        assert path.endswith("/namespaces/default/services/s/load"), path
        return {"items": [{"value": "700m", "timestamp": time.format(env.clock.now())}]}

    values: dict[str, Any] = {
        "/apis/custom.metrics.k8s.io/v1beta2": custom,
        "/apis/custom.metrics.k8s.io": {"versions": [{"version": "v1beta2"}]},
        "/apis/external.metrics.k8s.io/v1beta1": {"items": [{"value": "40"}, {"value": "60"}]},
    }
    specs = [
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "hits"},
                "target": {"type": "AverageValue", "averageValue": "10"},
            },
        },
        {
            "type": "Object",
            "object": {
                "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "s"},
                "metric": {"name": "load"},
                "target": {"type": "Value", "value": "100m"},
            },
        },
        {
            "type": "External",
            "external": {
                "metric": {"name": "queue"},
                "target": {"type": "AverageValue", "averageValue": "25"},
            },
        },
    ]
    async with harness.world(env, through=lambda inner: Measured(inner, values)) as world:
        await world.client.create(web())
        await env.clock.sleep(5)
        await world.client.create(autoscaler(*specs))
        await env.clock.sleep(20)
        # 30 of 10 on average: 6; 700m of 100m: 14, and twice as many, or 4, at most.
        assert await replicas(world) == 4
        found = await status(world)
        kinds = [item.type for item in found.currentMetrics]
        assert kinds == ["Pods", "Object", "External"]
        assert found.currentMetrics[0].pods.current.averageValue == "30"
        assert found.currentMetrics[1].object.current.value == "700m"
        assert found.currentMetrics[2].external.current.averageValue == "50"
        assert conditions(found)["ScalingLimited"] == ("True", "ScaleUpLimit")


@virtual.test()
async def test_what_is_said_of_metrics_that_nobody_serves(env: Env) -> None:
    """Word for word what upstream's controller says of the same."""
    specs: dict[str, dict[str, Any]] = {
        "Pods": {
            "metric": {"name": "rps"},
            "target": {"type": "AverageValue", "averageValue": "1"},
        },
        "Object": {
            "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "s"},
            "metric": {"name": "q"},
            "target": {"type": "Value", "value": "1"},
        },
        "External": {
            "metric": {"name": "q"},
            "target": {"type": "AverageValue", "averageValue": "1"},
        },
    }
    custom = (
        "unable to fetch metrics from custom metrics API: no custom metrics API "
        "(custom.metrics.k8s.io) registered"
    )
    external = (
        "unable to get external metric default/q/nil: unable to fetch metrics from external "
        "metrics API: the server could not find the requested resource (get "
        "q.external.metrics.k8s.io)"
    )
    async with harness.world(env) as world:
        await world.client.create(web())
        for kind, spec in specs.items():
            made = autoscaler({"type": kind, kind.lower(): spec})
            made.metadata.name = kind.lower()
            await world.client.create(made)
            await env.clock.sleep(40)
            await world.client.delete(HorizontalPodAutoscaler, made.metadata.name, "default")
        assert f"unable to get metric rps: {custom}" in world.messages("pods")
        text = f"unable to get metric q: Service on default s/{custom}"
        assert text in world.messages("object")
        assert external in world.messages("external")
        assert (
            "invalid metrics (1 invalid out of 1), first error is: failed to get q external "
            f"metric value: failed to get q external metric: {external}"
        ) in world.messages("external")


@pytest.mark.parametrize(
    ("count", "bounds", "expected", "reason"),
    [
        (8, {"maxReplicas": 5}, 5, "Current number of replicas above Spec.MaxReplicas"),
        (1, {"minReplicas": 3}, 3, "Current number of replicas below Spec.MinReplicas"),
    ],
)
def test_bounds_hold_without_metrics(
    count: int, bounds: dict[str, int], expected: int, reason: str
) -> None:
    async def story(env: Env) -> None:
        async with harness.world(env) as world:
            await world.client.create(web(count))
            await world.client.create(autoscaler(CPU, **bounds))
            await env.clock.sleep(20)
            assert await replicas(world) == expected
            assert f"New size: {expected}; reason: {reason}" in world.messages("web")

    virtual.run(story)


@virtual.test()
async def test_what_is_at_zero_stays_and_what_is_not_there_is_said(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(web(0))
        await world.client.create(autoscaler(CPU))
        await env.clock.sleep(20)
        assert conditions(await status(world))["ScalingActive"] == ("False", "ScalingDisabled")
        await world.client.delete(Deployment, "web", "default")
        await env.clock.sleep(20)
        found = await status(world)
        assert conditions(found)["AbleToScale"] == ("False", "FailedGetScale")
        assert 'deployments.apps "web" not found' in found.conditions[0].message


@virtual.test()
async def test_two_autoscalers_of_the_same_pods(env: Env) -> None:
    async with harness.world(env) as world:
        await world.client.create(web())
        await world.client.create(autoscaler(CPU))
        other = autoscaler(CPU)
        other.metadata.name = "other"
        await world.client.create(other)
        await env.clock.sleep(40)
        found = await status(world)
        assert conditions(found)["ScalingActive"] == ("False", "AmbiguousSelector")
        assert "pods by selector app=web are controlled by multiple HPAs: " in (
            found.conditions[1].message
        )

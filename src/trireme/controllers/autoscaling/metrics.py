"""What is measured: the three metrics APIs, which other servers offer behind the API server.

In: names and selectors. Out: values in thousandths; ValueError in upstream's words. Used by
``proposals``. https://kubernetes.io/docs/tasks/debug/debug-cluster/resource-metrics-pipeline/;
upstream: pkg/controller/podautoscaler/metrics, k8s.io/metrics.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.api.autoscaling.v2.metrics import CrossVersionObjectReference
from trireme.client import discovery
from trireme.client.client import Client
from trireme.client.requests import join
from trireme.controllers.autoscaling.compute_replicas import MAX_INT64, PodMetric
from trireme.kit.env import Env
from trireme.machinery import errors, quantity, time

RESOURCE = ("metrics.k8s.io", "v1beta1")
EXTERNAL = ("external.metrics.k8s.io", "v1beta1")
CUSTOM = "custom.metrics.k8s.io"
CUSTOM_VERSIONS = ("v1beta2", "v1beta1")
WINDOW = 60.0
RESYNC = 30.0


class _Named(msgspec.Struct):
    name: str = ""


class _Container(msgspec.Struct):
    name: str = ""
    usage: dict[str, str] = {}


class _PodMetrics(msgspec.Struct):
    metadata: _Named
    timestamp: str = ""
    window: str = "0s"
    containers: list[_Container] = []


class _Value(msgspec.Struct):
    describedObject: _Named = msgspec.field(default_factory=_Named)
    timestamp: str = ""
    windowSeconds: int | None = None
    # v1beta1 calls it so.
    window: int | None = None
    value: str = "0"


class _Values(msgspec.Struct):
    items: list[_Value] = []


class Metrics:
    """The metrics APIs, as the client's user."""

    def __init__(self, client: Client, env: Env) -> None:
        self._client = client
        self.clock = env.clock
        # The version of custom metrics that is served, "" for none; until when that is believed.
        self._custom = ""
        self._fresh_until = -1.0

    async def of_pods(
        self, resource: str, namespace: str, selector: str, container: str
    ) -> dict[str, PodMetric]:
        """A resource's usage by pod, or of one container of each. Pods that are not measured, or
        not whole, are left out."""
        what = "resource metrics API"
        pods = self._client.dynamic(*RESOURCE, "pods")
        try:
            listed = await pods.list(namespace, label_selector=selector)
            items = msgspec.convert(listed.items, list[_PodMetrics])
        except (errors.ApiError, msgspec.ValidationError) as error:
            raise ValueError(f"unable to fetch metrics from {what}: {error}") from error
        if not items:
            raise ValueError(f"no metrics returned from {what}")
        found: dict[str, PodMetric] = {}
        for item in items:
            counted = [c for c in item.containers if not container or c.name == container]
            if not counted or any(resource not in c.usage for c in counted):
                continue
            value = sum(quantity.parse(c.usage[resource]).milli_value() for c in counted)
            window = time.parse_duration(item.window)
            found[item.metadata.name] = PodMetric(time.parse(item.timestamp), window, value)
        return found

    async def custom_of_pods(
        self, metric: str, namespace: str, selector: str, metric_selector: str
    ) -> dict[str, PodMetric]:
        """A custom metric by pod."""
        values = await self._custom_values(
            ("namespaces", namespace, "pods", "*", metric),
            {"labelSelector": selector, "metricLabelSelector": metric_selector},
        )
        if not values:
            raise ValueError("no metrics returned from custom metrics API")
        found = {}
        for item in values:
            seconds = item.windowSeconds if item.windowSeconds is not None else item.window
            window = WINDOW if seconds is None else float(seconds)
            value = quantity.parse(item.value).milli_value()
            found[item.describedObject.name] = PodMetric(time.parse(item.timestamp), window, value)
        return found

    async def custom_of_object(
        self, metric: str, namespace: str, of: CrossVersionObjectReference, metric_selector: str
    ) -> int:
        """A custom metric of one object."""
        group = of.apiVersion.rpartition("/")[0]
        if (group, of.kind) == ("", "Namespace"):
            path: tuple[str, ...] = ("namespaces", namespace, "metrics", metric)
        else:
            resource = await self._resource_of(group, of.kind)
            path = ("namespaces", namespace, resource, of.name, metric)
        values = await self._custom_values(path, {"metricLabelSelector": metric_selector})
        if len(values) != 1:
            raise ValueError(
                "unable to fetch metrics from custom metrics API: the custom metrics API server "
                f"returned {len(values)} results when we asked for exactly one"
            )
        return quantity.parse(values[0].value).milli_value()

    async def external(self, metric: str, namespace: str, selector: str) -> int:
        """The sum of an external metric's values."""
        path = join("apis", *EXTERNAL, "namespaces", namespace, metric)
        what = "external metrics API"
        found = f"{metric}.{EXTERNAL[0]}"
        listed = await self._get(path, {"labelSelector": selector}, what, found)
        if not listed.items:
            raise ValueError(f"no metrics returned from {what}")
        total = sum(quantity.parse(item.value).milli_value() for item in listed.items)
        return min(total, MAX_INT64)

    async def _custom_values(
        self, path: tuple[str, ...], parameters: dict[str, str]
    ) -> list[_Value]:
        version = await self._custom_version()
        what = "custom metrics API"
        if not version:
            problem = f"no custom metrics API ({CUSTOM}) registered"
            raise ValueError(f"unable to fetch metrics from {what}: {problem}")
        full = join("apis", CUSTOM, version, *path)
        found = f"{path[-3]}.{CUSTOM}"
        return (await self._get(full, parameters, what, found, path[-2])).items

    async def _custom_version(self) -> str:
        now = self.clock.monotonic()
        if now >= self._fresh_until:
            try:
                response = await self._client.raw("GET", f"/apis/{CUSTOM}")
                group: dict[str, Any] = msgspec.json.decode(response.body, type=dict)
                served = {item.get("version") for item in group.get("versions", [])}
            except (errors.ApiError, msgspec.DecodeError):
                served = set()
            found = (version for version in CUSTOM_VERSIONS if version in served)
            self._custom = next(found, "")
            self._fresh_until = now + RESYNC
        return self._custom

    async def _resource_of(self, group: str, kind: str) -> str:
        for item in await discovery.served(self._client):
            if (item.group, item.kind) == (group, kind):
                return f"{item.plural}.{group}" if group else item.plural
        raise ValueError(
            "unable to fetch metrics from custom metrics API: unable to map kind "
            f'{kind}{"." + group if group else ""} to resource: no matches for kind "{kind}"'
        )

    async def _get(
        self, path: str, parameters: dict[str, str], what: str, resource: str, name: str = ""
    ) -> _Values:
        given = {key: text for key, text in parameters.items() if text}
        try:
            response = await self._client.raw("GET", path, given, resource=resource, name=name)
            return msgspec.json.decode(response.body, type=_Values)
        except (errors.ApiError, msgspec.DecodeError) as error:
            raise ValueError(f"unable to fetch metrics from {what}: {error}") from error

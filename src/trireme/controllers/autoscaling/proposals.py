"""What each metric of an autoscaler asks for.

In: an autoscaler, the scale of its target, the pods of that. Out: ``Outcome``: the largest
proposal, and the status of every metric. The arithmetic is in ``compute_replicas``. Used by
``reconcile``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from trireme.api.autoscaling.v1.scale import Scale
from trireme.api.autoscaling.v2 import metrics as api
from trireme.api.autoscaling.v2.metrics import MetricSpec, MetricStatus, MetricTarget
from trireme.api.core.v1.pod.pod import Pod
from trireme.controllers.autoscaling import compute_replicas
from trireme.controllers.autoscaling.compute_replicas import Proposal, Rules
from trireme.controllers.autoscaling.metrics import Metrics
from trireme.machinery import gotext, labels, quantity
from trireme.machinery.meta import LabelSelector
from trireme.machinery.quantity import BINARY_SI, DECIMAL_SI, Quantity

_NO_TARGET: Final = (
    "invalid {} metric source: neither a value target nor an average value target was set"
)
_NO_RESOURCE_TARGET: Final = (
    "invalid resource metric source: neither an average utilization target nor an average value "
    "(usage) target was set"
)


class Failed(ValueError):
    """A metric says nothing. ``reason`` and ``detail`` are the event's; the message says whose."""

    def __init__(self, reason: str, detail: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.detail = detail


# A metric, by how much it would change the replicas, why it says nothing, and when its look began.
Computed = Callable[[MetricSpec, int, Failed | None, float], None]


@dataclass
class Outcome:
    """``replicas``: the most that a metric asks for, 0 when none says anything; ``metric``: which
    one. ``failures``: those that say nothing."""

    replicas: int = 0
    metric: str = ""
    statuses: list[MetricStatus] = field(default_factory=list)
    failures: list[Failed] = field(default_factory=list)


@dataclass(frozen=True)
class Measuring:
    """One look at the metrics of one autoscaler. ``selector`` is the text of its target's."""

    metrics: Metrics
    rules: Rules
    namespace: str
    selector: str
    selected: Sequence[Pod]
    scale: Scale

    async def all(
        self,
        specs: Sequence[MetricSpec],
        failed: Callable[[Failed], None],
        computed: Computed,
    ) -> Outcome:
        """Every metric in turn; ``failed`` gets each that says nothing, ``computed`` what came of
        each, for counts."""
        outcome, current = Outcome(), self.scale.spec.replicas
        for spec in specs:
            began = self.metrics.clock.monotonic()
            try:
                proposal, name, status = await self._one(spec)
                computed(spec, proposal.replicas - current, None, began)
            except Failed as failure:
                computed(spec, 0, failure, began)
                failed(failure)
                outcome.failures.append(failure)
                outcome.statuses.append(MetricStatus())
                continue
            outcome.statuses.append(status)
            if outcome.replicas == 0 or proposal.replicas > outcome.replicas:
                outcome.replicas, outcome.metric = proposal.replicas, name
        return outcome

    async def _one(self, spec: MetricSpec) -> tuple[Proposal, str, MetricStatus]:
        if spec.resource is not None and spec.type == "Resource":
            return await self._resource(spec.resource)
        if spec.containerResource is not None and spec.type == "ContainerResource":
            return await self._container(spec.containerResource)
        if spec.pods is not None and spec.type == "Pods":
            return await self._pods(spec.pods)
        if spec.object is not None and spec.type == "Object":
            return await self._object(spec.object)
        if spec.external is not None and spec.type == "External":
            return await self._external(spec.external)
        detail = f"unknown metric source type {gotext.quote(spec.type)}"
        raise Failed("InvalidMetricSourceType", detail, detail)

    async def _resource(
        self, source: api.ResourceMetricSource
    ) -> tuple[Proposal, str, MetricStatus]:
        try:
            proposal, name, current = await self._usage(source.name, "", source.target)
        except ValueError as error:
            message = f"failed to get {source.name} resource metric value: {error}"
            raise Failed("FailedGetResourceMetric", str(error), message) from error
        status = api.ResourceMetricStatus(name=source.name, current=current)
        return proposal, name, MetricStatus(type="Resource", resource=status)

    async def _container(
        self, source: api.ContainerResourceMetricSource
    ) -> tuple[Proposal, str, MetricStatus]:
        try:
            proposal, name, current = await self._usage(
                source.name, source.container, source.target
            )
        except ValueError as error:
            message = f"failed to get {source.container} container metric value: {error}"
            raise Failed("FailedGetContainerResourceMetric", str(error), message) from error
        status = api.ContainerResourceMetricStatus(
            name=source.name, container=source.container, current=current
        )
        return proposal, name, MetricStatus(type="ContainerResource", containerResource=status)

    async def _usage(
        self, resource: str, container: str, target: MetricTarget
    ) -> tuple[Proposal, str, api.MetricValueStatus]:
        """A resource of the pods, or of one container of each."""
        average, percent = target.averageValue, target.averageUtilization
        if average is None and percent is None:
            raise ValueError(_NO_RESOURCE_TARGET)
        current = self.scale.spec.replicas
        what = "usage" if average is not None else "utilization"
        try:
            try:
                measured = await self.metrics.of_pods(
                    resource, self.namespace, self.selector, container
                )
            except ValueError as error:
                raise ValueError(
                    f"unable to get metrics for resource {resource}: {error}"
                ) from error
            if average is not None:
                proposal = compute_replicas.of_average(
                    self.rules, self.selected, measured, resource, current, _milli(average)
                )
            else:
                proposal = compute_replicas.of_utilization(
                    self.rules, self.selected, measured, resource, container, current, percent or 0
                )
        except ValueError as error:
            raise ValueError(f"failed to get {resource} {what}: {error}") from error
        family = BINARY_SI if resource == "memory" else DECIMAL_SI
        value = _quantity(proposal.usage, family)
        if average is not None:
            return proposal, f"{resource} resource", api.MetricValueStatus(averageValue=value)
        of = "container resource" if container else "resource"
        status = api.MetricValueStatus(averageUtilization=proposal.utilization, averageValue=value)
        return proposal, f"{resource} {of} utilization (percentage of request)", status

    async def _pods(self, source: api.PodsMetricSource) -> tuple[Proposal, str, MetricStatus]:
        metric = source.metric
        try:
            try:
                measured = await self.metrics.custom_of_pods(
                    metric.name, self.namespace, self.selector, _text(metric.selector)
                )
            except ValueError as error:
                raise ValueError(f"unable to get metric {metric.name}: {error}") from error
            target = _milli(source.target.averageValue or "0")
            proposal = compute_replicas.of_average(
                self.rules, self.selected, measured, "", self.scale.spec.replicas, target
            )
        except ValueError as error:
            message = f"failed to get pods metric value: {error}"
            raise Failed("FailedGetPodsMetric", str(error), message) from error
        current = api.MetricValueStatus(averageValue=_quantity(proposal.usage))
        status = MetricStatus(
            type="Pods", pods=api.PodsMetricStatus(metric=metric, current=current)
        )
        return proposal, f"pods metric {metric.name}", status

    async def _object(self, source: api.ObjectMetricSource) -> tuple[Proposal, str, MetricStatus]:
        metric, of, target = source.metric, source.describedObject, source.target
        try:
            if target.value is None and target.averageValue is None:
                raise ValueError(_NO_TARGET.format("object"))
            try:
                usage = await self.metrics.custom_of_object(
                    metric.name, self.namespace, of, _text(metric.selector)
                )
            except ValueError as error:
                # Upstream's words, in upstream's order.
                where = f"{of.kind} on {self.namespace} {of.name}"
                raise ValueError(f"unable to get metric {metric.name}: {where}/{error}") from error
            proposal, current = self._shared(target, usage)
        except ValueError as error:
            message = f"failed to get object metric value: {error}"
            raise Failed("FailedGetObjectMetric", str(error), message) from error
        status = MetricStatus(
            type="Object",
            object=api.ObjectMetricStatus(metric=metric, current=current, describedObject=of),
        )
        if target.value is not None:
            return proposal, f"{of.kind} metric {metric.name}", status
        return proposal, f"external metric {metric.name}({labels.go_text(metric.selector)})", status

    async def _external(
        self, source: api.ExternalMetricSource
    ) -> tuple[Proposal, str, MetricStatus]:
        metric, target = source.metric, source.target
        message = f"failed to get {metric.name} external metric value"
        reason = "FailedGetExternalMetric"
        if target.value is None and target.averageValue is None:
            problem = _NO_TARGET.format("external")
            raise Failed(reason, problem, f"{message}: {problem}")
        try:
            try:
                usage = await self.metrics.external(
                    metric.name, self.namespace, _text(metric.selector)
                )
            except ValueError as error:
                where = f"{self.namespace}/{metric.name}/{labels.go_text(metric.selector)}"
                raise ValueError(f"unable to get external metric {where}: {error}") from error
            proposal, current = self._shared(target, usage)
        except ValueError as error:
            average = target.averageValue is not None
            name = f"{metric.name} external metric" if average else f"external metric {metric.name}"
            raise Failed(reason, str(error), f"{message}: failed to get {name}: {error}") from error
        status = MetricStatus(
            type="External", external=api.ExternalMetricStatus(metric=metric, current=current)
        )
        return proposal, f"external metric {metric.name}({labels.go_text(metric.selector)})", status

    def _shared(self, target: MetricTarget, usage: int) -> tuple[Proposal, api.MetricValueStatus]:
        """A value that all pods bring about, or share."""
        if target.averageValue is not None:
            proposal = compute_replicas.of_value_per_pod(
                self.rules, self.scale.status.replicas, usage, _milli(target.averageValue)
            )
            return proposal, api.MetricValueStatus(averageValue=_quantity(proposal.usage))
        proposal = compute_replicas.of_value(
            self.rules, self.selected, self.scale.spec.replicas, usage, _milli(target.value or "0")
        )
        return proposal, api.MetricValueStatus(value=_quantity(proposal.usage))


def _milli(text: str) -> int:
    return quantity.parse(text).milli_value()


def _quantity(milli: int, family: str = DECIMAL_SI) -> str:
    return str(Quantity(milli * 10**6, family))


def _text(selector: LabelSelector | None) -> str:
    return "" if selector is None else str(labels.from_struct(selector))

"""HorizontalPodAutoscalers: the scale of a workload follows its metrics.

In: autoscalers, the scale of their targets, pods, metrics. Out: scales, the status of autoscalers,
events. Decisions are in ``compute_replicas`` and ``plan_behavior``. Run by ``manager``. Upstream:
pkg/controller/podautoscaler;
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable
from typing import Any, Final

from trireme.api.autoscaling.v1.scale import Scale
from trireme.api.autoscaling.v2.horizontalpodautoscaler import HorizontalPodAutoscaler
from trireme.api.autoscaling.v2.hpa_types import (
    HorizontalPodAutoscalerCondition,
    HorizontalPodAutoscalerStatus,
    HPAScalingRules,
)
from trireme.api.autoscaling.v2.metrics import MetricStatus
from trireme.api.core.v1.pod.pod import Pod
from trireme.client.resource_interface import DELETED
from trireme.controllers.autoscaling import plan_behavior
from trireme.controllers.autoscaling.compute_replicas import Rules
from trireme.controllers.autoscaling.counts import AutoscalerMetrics, error_of
from trireme.controllers.autoscaling.metrics import Metrics
from trireme.controllers.autoscaling.plan_behavior import History
from trireme.controllers.autoscaling.proposals import Failed, Measuring
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.scales import NotServed, Scales
from trireme.machinery import errors, labels, quantity, time
from trireme.machinery.labels import Selector
from trireme.runtime import recorder
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key

NAME: Final = "horizontal-pod-autoscaler-controller"
# How often a scale that somebody else wrote in between is written again.
TRIES: Final = 5
ABLE, ACTIVE, LIMITED, TO_ZERO = "AbleToScale", "ScalingActive", "ScalingLimited", "ScaledToZero"


class Stopped(Exception):
    """Nothing more can be done about this autoscaler now; its status says why."""


class Autoscalers:
    """The state of the controller: caches, and what it proposed and did before."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._events = context.recorder
        self._log = context.env.log
        self._clock = context.env.clock
        self._settings = context.settings.autoscaling
        self._scales = Scales(context.client, context.env)
        self._metrics = Metrics(context.client, context.env)
        self._counts = AutoscalerMetrics(context.env.metrics, context.informers, context.env.clock)
        self._histories: dict[Key, History] = {}
        self._selectors: dict[Key, Selector] = {}
        self._autoscalers = context.informers.of(HorizontalPodAutoscaler)
        self._pods = context.informers.of(Pod)
        self._pods.add_index(by_namespace)
        self.loop = Controller(
            "horizontalpodautoscaler",
            self.reconcile,
            context.env,
            triggers=[(self._autoscalers, self._later), (self._pods, lambda event: ())],
            workers=context.settings.workers.horizontal_pod_autoscaler,
        )

    def _later(self, event: Event[HorizontalPodAutoscaler]) -> Iterable[Key]:
        """One that is new or changes is looked at when its time comes, not at once."""
        if event.type == DELETED:
            return [event.key]
        self.loop.queue.add_after(event.key, self._settings.sync_period)
        return ()

    async def reconcile(self, key: Key) -> After | None:
        """Look at one autoscaler, and again in 15 s."""
        found = self._autoscalers.get(*key)
        if found is None:
            self._histories.pop(key, None)
            self._selectors.pop(key, None)
            self._counts.forget(*key)
            return None
        hpa = copy.deepcopy(found)
        began, error = self._clock.monotonic(), "none"
        try:
            await self._scale(hpa, key)
        except Stopped as reason:
            self._log.info("%s %s: %s", NAME, key, reason)
            error = error_of(reason.__cause__)
        except BaseException:
            error = "internal"
            raise
        finally:
            self._counts.reconciled(found, hpa, error, self._clock.monotonic() - began)
        if hpa.status != found.status:
            await self._write(hpa)
        return After(self._settings.sync_period)

    async def _write(self, hpa: HorizontalPodAutoscaler) -> None:
        try:
            await self._client.update_status(hpa)
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return
            self._note(hpa, recorder.WARNING, "FailedUpdateStatus", str(error))
            self._log.warning("failed to update status for %s: %s", hpa.metadata.name, error)

    async def _scale(self, hpa: HorizontalPodAutoscaler, key: Key) -> None:
        """Find the number of replicas, and write it. ``hpa.status`` is changed."""
        scale = await self._target(hpa)
        current = scale.spec.replicas
        now = self._clock.now()
        history = self._histories.setdefault(key, History([(now, current)]))
        low, high = hpa.spec.minReplicas, hpa.spec.maxReplicas
        low = 1 if low is None else low
        statuses: list[MetricStatus] = []
        reason = ""
        to_zero = self._settings.scale_to_zero
        was_zero = to_zero and _is_true(hpa, TO_ZERO)
        if current == 0 and not (was_zero and (low != 0 or _has_shared_metrics(hpa))):
            detail = "scaling is disabled since the replica count of the target is zero"
            self._set(hpa, ACTIVE, "False", "ScalingDisabled", detail)
            if not to_zero:
                _remove(hpa, TO_ZERO)
            desired = 0
        elif current > high:
            desired, reason = high, "Current number of replicas above Spec.MaxReplicas"
        elif 0 < current < low:
            desired, reason = low, "Current number of replicas below Spec.MinReplicas"
        else:
            try:
                proposed, metric, statuses = await self._proposed(hpa, scale, key)
            except Failed as failure:
                self._note(hpa, recorder.WARNING, "FailedComputeMetricsReplicas", str(failure))
                raise Stopped(failure) from failure
            if proposed > current:
                reason = f"{metric} above target"
            elif proposed < current:
                reason = "All metrics below target"
            desired = self._bounded(hpa, history, current, proposed, (low, high))
            if current == 0 and low != 0 and desired < low:
                desired = low
                reason = reason or "Current number of replicas below Spec.MinReplicas"
        rescaled = desired != current
        if rescaled:
            await self._rescale(hpa, scale, desired, reason, statuses)
            history.note(hpa.spec.behavior, desired - current, now)
            self._note_zero(hpa, current, desired, low)
        hpa.status = HorizontalPodAutoscalerStatus(
            currentReplicas=current,
            desiredReplicas=desired,
            lastScaleTime=time.format(now) if rescaled else hpa.status.lastScaleTime,
            currentMetrics=statuses or None,
            conditions=hpa.status.conditions,
        )

    async def _target(self, hpa: HorizontalPodAutoscaler) -> Scale:
        reference = hpa.spec.scaleTargetRef
        try:
            scale = await self._scales.get(
                reference.apiVersion, reference.kind, hpa.metadata.namespace, reference.name
            )
        except (errors.ApiError, NotServed) as error:
            self._note(hpa, recorder.WARNING, "FailedGetScale", str(error))
            detail = f"the HPA controller was unable to get the target's current scale: {error}"
            self._set(hpa, ABLE, "False", "FailedGetScale", detail)
            raise Stopped(error) from error
        detail = "the HPA controller was able to get the target's current scale"
        self._set(hpa, ABLE, "True", "SucceededGetScale", detail)
        return scale

    async def _proposed(
        self, hpa: HorizontalPodAutoscaler, scale: Scale, key: Key
    ) -> tuple[int, str, list[MetricStatus]]:
        """What the metrics ask for; Failed when too few of them say anything."""
        selected = self._selected(hpa, scale.status.selector, key)
        measuring = Measuring(
            self._metrics,
            self._rules(hpa),
            key.namespace,
            scale.status.selector,
            selected,
            scale,
        )

        def failed(failure: Failed) -> None:
            self._note(hpa, recorder.WARNING, failure.reason, failure.detail)

        specs = hpa.spec.metrics
        outcome = await measuring.all(specs, failed, self._counts.computed)
        count = len(outcome.failures)
        if count:
            first = outcome.failures[0]
            message = (
                f"invalid metrics ({count} invalid out of {len(specs)}), first error is: {first}"
            )
            # What cannot be measured may be what needs the replicas that are there.
            if count >= len(specs) or outcome.replicas < scale.spec.replicas:
                detail = f"the HPA was unable to compute the replica count: {first.detail}"
                self._set(hpa, ACTIVE, "False", first.reason, detail)
                hpa.status.currentReplicas = scale.spec.replicas
                hpa.status.currentMetrics = outcome.statuses
                raise Failed(first.reason, first.detail, message)
            self._log.warning("%s %s: %s", NAME, key, message)
        detail = "the HPA was able to successfully calculate a replica count from " + outcome.metric
        self._set(hpa, ACTIVE, "True", "ValidMetricFound", detail)
        return outcome.replicas, outcome.metric, outcome.statuses

    def _selected(self, hpa: HorizontalPodAutoscaler, text: str, key: Key) -> list[Pod]:
        """The target's pods, which no other autoscaler may have."""
        if not text:
            detail = "the HPA target's scale is missing a selector"
            self._refuse_selector(hpa, "SelectorRequired", "selector is required", detail)
        try:
            selector = labels.parse(text)
        except ValueError as error:
            detail = (
                f"couldn't convert selector into a corresponding internal selector object: {error}"
            )
            self._refuse_selector(hpa, "InvalidSelector", detail, detail)
        self._selectors[key] = selector
        every = self._pods.by_index(by_namespace, key.namespace)
        selected = [pod for pod in every if selector.matches(pod.metadata.labels)]
        others = [
            other
            for other, theirs in sorted(self._selectors.items())
            if other.namespace == key.namespace
            and any(theirs.matches(pod.metadata.labels) for pod in selected)
        ]
        if len(others) > 1:
            names = " ".join(f"{{{other.name} {other.namespace}}}" for other in others)
            detail = f"pods by selector {text} are controlled by multiple HPAs: [{names}]"
            self._refuse_selector(hpa, "AmbiguousSelector", detail, detail)
        return selected

    def _refuse_selector(
        self, hpa: HorizontalPodAutoscaler, event: str, message: str, detail: str
    ) -> None:
        self._note(hpa, recorder.WARNING, event, message)
        reason = event if event != "SelectorRequired" else "InvalidSelector"
        self._set(hpa, ACTIVE, "False", reason, detail)
        raise Failed(reason, message, message)

    def _rules(self, hpa: HorizontalPodAutoscaler) -> Rules:
        behavior, settings = hpa.spec.behavior, self._settings

        def tolerance(rules: HPAScalingRules | None) -> float:
            if rules is None or rules.tolerance is None:
                return settings.tolerance
            return quantity.parse(rules.tolerance).nanos / 10**9

        return Rules(
            tolerance_down=tolerance(behavior.scaleDown if behavior is not None else None),
            tolerance_up=tolerance(behavior.scaleUp if behavior is not None else None),
            cpu_initialization=settings.cpu_initialization,
            initial_readiness=settings.initial_readiness,
            now=self._clock.now(),
        )

    def _bounded(
        self,
        hpa: HorizontalPodAutoscaler,
        history: History,
        current: int,
        proposed: int,
        bounds: tuple[int, int],
    ) -> int:
        """The proposal within bounds and rates."""
        decision = plan_behavior.decide(
            history,
            hpa.spec.behavior,
            current,
            proposed,
            bounds,
            self._settings.downscale_stabilization,
            self._clock.now(),
        )
        self._set(hpa, ABLE, "True", *decision.able)
        self._set(hpa, LIMITED, "True" if decision.limited else "False", *decision.limit)
        return decision.replicas

    async def _rescale(
        self,
        hpa: HorizontalPodAutoscaler,
        scale: Scale,
        desired: int,
        reason: str,
        statuses: list[MetricStatus],
    ) -> None:
        current = scale.spec.replicas
        try:
            await self._write_scale(hpa, scale, desired)
        except errors.ApiError as error:
            message = f"New size: {desired}; reason: {reason}; error: {error}"
            self._note(hpa, recorder.WARNING, "FailedRescale", message)
            detail = f"the HPA controller was unable to update the target scale: {error}"
            self._set(hpa, ABLE, "False", "FailedUpdateScale", detail)
            hpa.status.currentReplicas, hpa.status.currentMetrics = current, statuses or None
            raise Stopped(error) from error
        detail = f"the HPA controller was able to update the target scale to {desired}"
        self._set(hpa, ABLE, "True", "SucceededRescale", detail)
        message = f"New size: {desired}; reason: {reason}"
        self._note(hpa, recorder.NORMAL, "SuccessfulRescale", message)

    async def _write_scale(self, hpa: HorizontalPodAutoscaler, scale: Scale, desired: int) -> None:
        reference = hpa.spec.scaleTargetRef
        place = (reference.apiVersion, reference.kind, hpa.metadata.namespace, reference.name)
        for attempt in range(TRIES):
            scale.spec.replicas = desired
            try:
                await self._scales.update(*place, scale)
                return
            except errors.ApiError as error:
                if not errors.is_conflict(error) or attempt == TRIES - 1:
                    raise
            scale = await self._scales.get(*place)

    def _note_zero(
        self, hpa: HorizontalPodAutoscaler, current: int, desired: int, low: int
    ) -> None:
        if not self._settings.scale_to_zero:
            _remove(hpa, TO_ZERO)
        elif current > 0 and desired == 0 and low == 0 and _has_shared_metrics(hpa):
            detail = "the HPA controller scaled the workload to zero"
            self._set(hpa, TO_ZERO, "True", "ScaledToZero", detail)
        else:
            detail = "the HPA controller did not scale the workload to zero"
            self._set(hpa, TO_ZERO, "False", "NotScaledToZero", detail)

    def _set(
        self, hpa: HorizontalPodAutoscaler, kind: str, value: str, reason: str, message: str
    ) -> None:
        """Set a condition in its place, or append it."""
        known = _condition(hpa, kind)
        if known is None:
            known = HorizontalPodAutoscalerCondition(type=kind)
            hpa.status.conditions = [*hpa.status.conditions, known]
        if known.status != value:
            known.lastTransitionTime = time.format(self._clock.now())
        known.status, known.reason, known.message = value, reason, message

    def _note(self, hpa: HorizontalPodAutoscaler, kind: str, reason: str, message: str) -> None:
        self._events.event(hpa, kind, reason, message)


def by_namespace(obj: Any) -> Iterable[Hashable]:
    """Index: the namespace."""
    return [obj.metadata.namespace]


def _condition(hpa: HorizontalPodAutoscaler, kind: str) -> HorizontalPodAutoscalerCondition | None:
    return next((item for item in hpa.status.conditions if item.type == kind), None)


def _is_true(hpa: HorizontalPodAutoscaler, kind: str) -> bool:
    found = _condition(hpa, kind)
    return found is not None and found.status == "True"


def _remove(hpa: HorizontalPodAutoscaler, kind: str) -> None:
    hpa.status.conditions = [item for item in hpa.status.conditions if item.type != kind]


def _has_shared_metrics(hpa: HorizontalPodAutoscaler) -> bool:
    """Whether a metric says something even when there are no pods."""
    return any(item.type in ("Object", "External") for item in hpa.spec.metrics)


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return Autoscalers(context).loop


CONTROLLER = Definition(NAME, make, account="horizontal-pod-autoscaler")

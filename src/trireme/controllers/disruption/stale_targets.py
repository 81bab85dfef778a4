"""A pod that should have been evicted and was not: its condition DisruptionTarget becomes False.

In: pods. Out: the condition, two minutes after it was set. Run by ``manager``. Upstream:
pkg/controller/disruption, ``syncStalePodDisruption``; KEP-3329.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.status import PodCondition
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.disruption import plan_budget
from trireme.machinery import errors, time
from trireme.runtime.controller import After, Controller
from trireme.runtime.informer import Event
from trireme.runtime.keys import Key


def make(context: ControllerContext) -> Controller:
    """Reconciles pods that have the condition."""
    informer = context.informers.of(Pod)
    clock = context.env.clock

    async def reconcile(key: Key) -> After | None:
        pod = informer.get(*key)
        wait = plan_budget.stale_in(pod, clock.now()) if pod is not None else None
        if pod is None or wait is None:
            return None
        if wait > 0:
            return After(wait)
        now = time.format(clock.now())
        fresh = PodCondition(
            type=plan_budget.TARGET,
            status="False",
            observedGeneration=pod.metadata.generation,
            lastTransitionTime=now,
        )
        conditions = [
            fresh if item.type == plan_budget.TARGET else item for item in pod.status.conditions
        ]
        changed = replace(pod, status=replace(pod.status, conditions=conditions))
        try:
            await context.client.update_status(changed)
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise
        return None

    def marked(event: Event[Pod]) -> Iterable[Key]:
        stale = plan_budget.stale_in(event.object, clock.now()) is not None
        return [event.key] if stale else ()

    return Controller("stale_pod_disruption", reconcile, context.env, triggers=[(informer, marked)])


CONTROLLER = Definition("disruption-controller", make, component="controllermanager")

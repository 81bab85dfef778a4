"""``pods/<name>/eviction``: delete a pod if its disruption budget allows it.

In: a policy/v1 Eviction. Out: 201 with a Status; 429 with the cause DisruptionBudget when the pod
must stay for now. The budget counts the eviction before the pod goes, so that two evictions at once
cannot both take the last allowed disruption. Upstream: pkg/registry/core/pod/storage/eviction.go;
https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.status import PodCondition
from trireme.api.policy.v1.eviction import Eviction
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget
from trireme.apiserver import deletion
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import SubresourceHandler
from trireme.apiserver.registry import Call
from trireme.apiserver.reply import reply
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.apiserver.verbs import body, write
from trireme.domain import disruption
from trireme.machinery import errors, field, time
from trireme.machinery.meta import DeleteOptions, Preconditions
from trireme.machinery.status import Status, StatusCause
from trireme.store.contract import KeyValue

TRIES = 20
_VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget."


async def create(context: ServerContext, request: Request, _endpoint: Endpoint) -> Reply:
    """Evict the pod."""
    info, call = request.info, write.call_of(request)
    eviction: Eviction = body.read_as(request, Eviction)
    if eviction.metadata.name != info.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    options = _delete_options(eviction, call)
    pods = context.endpoint(Pod)
    await context.registry.admit(
        "CREATE", pods, "eviction", info.namespace, info.name, eviction, call
    )
    call.admitted = True
    pinned = options.preconditions is not None and bool(options.preconditions.resourceVersion)
    for _ in range(TRIES):
        pod: Pod = pods.load(context.registry.get(pods, info.namespace, info.name))
        if not disruption.needs_no_budget(pod):
            break
        conditional = _at(options, pod) if disruption.may_race(pod) and not pinned else options
        try:
            await _evict(context, pods, pod, conditional, call)
        except errors.ApiError as error:
            if pinned or not errors.is_conflict(error):
                raise
            continue
        return _done()
    else:
        raise errors.conflict("pods", info.name)
    await _guarded(context, pods, pod, options, call, pinned)
    return _done()


def _done() -> Reply:
    return reply.described(Status(status="Success", code=201), 201)


def _delete_options(eviction: Eviction, call: Call) -> DeleteOptions:
    options = eviction.deleteOptions or DeleteOptions()
    if options.ignoreStoreReadErrorWithClusterBreakingPotential:
        where = field.path("deleteOptions", "ignoreStoreReadErrorWithClusterBreakingPotential")
        message = "can not be set for pod eviction, try after removing the option"
        problem = field.invalid(where, True, message)
        raise errors.invalid("Eviction.policy", eviction.metadata.name, [problem])
    problems = deletion.validate_options(options)
    if problems:
        raise errors.invalid("DeleteOptions.meta.k8s.io", "", problems)
    call.dry_run = call.dry_run or bool(options.dryRun)
    return options


def _at(options: DeleteOptions, pod: Pod) -> DeleteOptions:
    """The options for this very version of the pod."""
    conditions = options.preconditions or Preconditions()
    conditions = replace(conditions, resourceVersion=pod.metadata.resourceVersion)
    return replace(options, preconditions=conditions)


async def _guarded(
    context: ServerContext,
    pods: Endpoint,
    pod: Pod,
    options: DeleteOptions,
    call: Call,
    pinned: bool,
) -> None:
    """Evict a pod that a budget may guard."""
    budgets = context.registry.reader.list(PodDisruptionBudget, pod.metadata.namespace)
    found = disruption.guarding(pod, budgets)
    if len(found) > 1:
        message = (
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does "
            "not support."
        )
        raise errors.ApiError(500, "", message)
    spared = bool(found) and disruption.spares_unhealthy(pod, found[0])
    if found and not spared:
        await _take(context, found[0], pod, call)
    try:
        await _evict(context, pods, pod, _at(options, pod) if spared else options, call)
    except errors.ApiError as error:
        if spared and not pinned and errors.is_conflict(error):
            raise _violation(disruption.not_observed(found[0].metadata.name)) from None
        raise


async def _take(context: ServerContext, budget: PodDisruptionBudget, pod: Pod, call: Call) -> None:
    """Count the eviction against the budget, in the store."""
    endpoint = context.endpoint(PodDisruptionBudget)
    now = context.env.clock.now()

    def count(_old: Any, item: KeyValue) -> Any:
        newest: PodDisruptionBudget = endpoint.load(item)
        disruption.take(newest, pod.metadata.name, now)
        newest.metadata.resourceVersion = ""
        return newest

    own = Call(call.user, call.dry_run, any_version=True, admitted=True)
    meta = budget.metadata
    try:
        await context.registry.update(endpoint, meta.namespace, meta.name, count, own, "status")
    except disruption.Refused as refused:
        if refused.again:
            raise _violation(refused) from None
        raise errors.forbidden("poddisruptionbudget.policy", meta.name, refused.message) from None
    except errors.ApiError as error:
        if not errors.is_conflict(error):
            raise
        message = f'couldn\'t update PodDisruptionBudget "{meta.name}" due to conflicts'
        raise errors.timeout(message, 10) from None


def _violation(refused: disruption.Refused) -> errors.ApiError:
    error = errors.too_many_requests(_VIOLATION, refused.retry_after)
    if error.details is not None:
        cause = StatusCause(reason="DisruptionBudget", message=refused.message)
        error.details.causes = [*error.details.causes, cause]
    return error


async def _evict(
    context: ServerContext, pods: Endpoint, pod: Pod, options: DeleteOptions, call: Call
) -> None:
    """Set the DisruptionTarget condition, then delete the pod."""
    meta = pod.metadata
    if not call.dry_run:
        item = await _mark(context, pods, pod, options, call)
        if options.preconditions is not None and options.preconditions.resourceVersion:
            moved = replace(options.preconditions, resourceVersion=str(item.revision))
            options = replace(options, preconditions=moved)
    await context.registry.delete(pods, meta.namespace, meta.name, options, call)


async def _mark(
    context: ServerContext, pods: Endpoint, pod: Pod, options: DeleteOptions, call: Call
) -> KeyValue:
    now = time.format(context.env.clock.now())

    def mark(_old: Any, item: KeyValue) -> Any:
        newest: Pod = pods.load(item)
        resource = pods.resource
        deletion.check_preconditions(resource, pod.metadata.name, newest, item.revision, options)
        set_target(newest, now)
        newest.metadata.resourceVersion = ""
        return newest

    own = Call(call.user, any_version=True, admitted=True)
    meta = pod.metadata
    item, _ = await context.registry.update(pods, meta.namespace, meta.name, mark, own, "eviction")
    return item


def set_target(pod: Pod, now: str) -> None:
    """Condition DisruptionTarget becomes True."""
    condition = PodCondition(
        type="DisruptionTarget",
        status="True",
        reason="EvictionByEvictionAPI",
        message="Eviction API: evicting",
        lastTransitionTime=now,
    )
    known = next((item for item in pod.status.conditions if item.type == condition.type), None)
    if known is not None and known.status == "True":
        condition.lastTransitionTime = known.lastTransitionTime
    others = [item for item in pod.status.conditions if item.type != condition.type]
    pod.status.conditions = [*others, condition]


HANDLER = SubresourceHandler("pods", "eviction", {"create": create})

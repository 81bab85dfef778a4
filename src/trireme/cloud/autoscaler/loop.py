"""The cluster autoscaler's loop: looks at the cluster every ten seconds, sooner when a pod fits
nowhere, and acts once.

In: pods, nodes, DaemonSets, budgets, namespaces; the provider's node groups. Out: groups that grow;
nodes that are drained and deleted; events; the status ConfigMap. Decisions are in
``plan_scale_up`` and ``plan_scale_down``. What it remembers (since when a node is not needed, which
group failed) is in memory, as upstream's: a restart begins the waiting anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from trireme.api.apps.v1.daemonset import DaemonSet
from trireme.api.core.v1.configmap import ConfigMap
from trireme.api.core.v1.namespace import Namespace
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.references import ObjectReference
from trireme.api.core.v1.selection import Taint
from trireme.api.policy.v1.poddisruptionbudget import PodDisruptionBudget
from trireme.client.codec import Unreadable
from trireme.cloud import taints
from trireme.cloud.autoscaler import compute_status, plan_scale_down, plan_scale_up
from trireme.cloud.autoscaler.compute_fit import Snapshot
from trireme.cloud.autoscaler.compute_observed import Observed, age, is_ready
from trireme.cloud.autoscaler.compute_status import GroupStatus
from trireme.cloud.autoscaler.drain import Drainer
from trireme.cloud.autoscaler.plan_scale_down import Removal
from trireme.cloud.autoscaler.plan_scale_up import Option
from trireme.cloud.autoscaler.settings import Settings
from trireme.cloud.contract import NodeGroups
from trireme.cloud.definition import CloudContext
from trireme.domain import pods as of_pods
from trireme.kit import waiting
from trireme.machinery import errors, time
from trireme.machinery.errors import ApiError
from trireme.machinery.meta import ObjectMeta
from trireme.runtime.informer import Event
from trireme.runtime.recorder import NORMAL, WARNING

LAST_UPDATED = "cluster-autoscaler.kubernetes.io/last-updated"
# The status is written when it has changed, and this often.
STATUS_PERIOD = 120.0
# The shortest time between two looks.
TOGETHER = 1.0
_ERRORS = (ApiError, OSError, Unreadable)


class ClusterAutoscaler:
    """``run`` is the loop; ``scan`` looks once."""

    def __init__(self, context: CloudContext, groups: NodeGroups, settings: Settings) -> None:
        self._client = context.client
        self._env = context.env
        self._events = context.recorder
        self._groups = groups
        self._settings = settings
        informers = context.informers
        self._pods = informers.of(Pod)
        self._nodes = informers.of(Node)
        self._daemons = informers.of(DaemonSet)
        self._budgets = informers.of(PodDisruptionBudget)
        self._namespaces = informers.of(Namespace)
        self._about = ObjectReference(
            kind="ConfigMap",
            apiVersion="v1",
            name=settings.status_config_map,
            namespace=settings.namespace,
        )
        self._drainer = Drainer(
            self._client, groups, self._pods, self._events, self._env, settings, self._about
        )
        # By node, since when it is not needed; by machine, since when it is ordered.
        self._unneeded: dict[str, float] = {}
        self._ordered: dict[str, float] = {}
        # By group: until when it is left alone, the next pause, and why.
        self._backoff: dict[str, tuple[float, float, str]] = {}
        # By node that is being removed: whether it is drained.
        self._removing: dict[str, bool] = {}
        self._no_removal_before = 0.0
        self._transitions = compute_status.Transitions()
        self._written: tuple[object, float] = (None, float("-inf"))
        self._tasks: asyncio.TaskGroup
        self._wake = asyncio.Event()
        self._pods.add_handler(self._note)

    def _note(self, event: Event[Pod]) -> None:
        """A pod that fits nowhere is looked at at once."""
        was = event.old is not None and plan_scale_up.is_unschedulable(event.old)
        if not was and plan_scale_up.is_unschedulable(event.object):
            self._wake.set()

    async def run(self) -> None:
        """Look every ``scan_interval`` until cancelled."""
        for informer in (
            self._pods,
            self._nodes,
            self._daemons,
            self._budgets,
            self._namespaces,
        ):
            await informer.synced()
        async with asyncio.TaskGroup() as self._tasks:
            await self._untaint_all()
            while True:
                try:
                    await self.scan()
                except Exception as error:
                    self._env.log.warning("the cluster was not looked at: %r", error)
                # Pods that come together are looked at together.
                await self._env.clock.sleep(min(TOGETHER, self._settings.scan_interval))
                await waiting.wait(self._wake, self._settings.scan_interval - TOGETHER)
                self._wake.clear()

    async def _untaint_all(self) -> None:
        """Nodes that an earlier process wanted to remove are needed again."""
        for node in self._nodes.list():
            if any(taint.key == taints.TO_BE_DELETED for taint in node.spec.taints):
                try:
                    await self._drainer.unmark(node.metadata.name)
                except _ERRORS as error:
                    self._env.log.warning("node %s: %s", node.metadata.name, error)

    async def scan(self) -> None:
        """Look once: order nodes, or else remove some."""
        observed = Observed(await self._groups.list_node_groups(), self._nodes.list())
        await self._give_up(observed)
        snapshot = self._snapshot(observed)
        ordered = await self._scale_up(snapshot, observed)
        if not self._settings.scale_down:
            removals: list[Removal] = []
        else:
            removals = self._unneeded_nodes(snapshot, observed)
            if not ordered:
                self._remove(removals, observed)
            await self._set_candidates(removals, observed)
        await self._write_status(observed, removals)

    # ---- the snapshot

    def _snapshot(self, observed: Observed) -> Snapshot:
        """The ready nodes with their pods, and those that will come."""
        namespaces = {one.metadata.name: one.metadata.labels for one in self._namespaces.list()}
        snapshot = Snapshot(namespaces)
        for node in observed.ready():
            snapshot.add_node(node)
        for pod in self._pods.list():
            state = snapshot.nodes.get(pod.spec.nodeName)
            if state is not None and not of_pods.is_finished(pod) and self._counts(pod):
                snapshot.add(pod, state)
        upcoming = [(group, one.provider_id) for group, one in observed.upcoming]
        upcoming += [
            (observed.groups[group], name)
            for name, group in observed.group_of.items()
            if not is_ready(observed.nodes[name]) and self._is_young(observed.nodes[name])
        ]
        for group, name in upcoming:
            state = snapshot.add_node(
                plan_scale_up.from_template(group.template, f"upcoming-{name}")
            )
            for daemon in self._daemon_pods():
                own = plan_scale_up.copy_for(daemon, state.name)
                if not snapshot.refusal(own, state):
                    snapshot.add(own, state)
        return snapshot

    def _counts(self, pod: Pod) -> bool:
        """Whether the pod may have a node for itself, and keeps one."""
        return pod.spec.priority is None or pod.spec.priority >= self._settings.priority_cutoff

    def _is_young(self, node: Node) -> bool:
        return age(node, self._env.clock.now()) < self._settings.provision_time

    def _daemon_pods(self) -> list[Pod]:
        return [
            Pod(
                metadata=ObjectMeta(
                    namespace=one.metadata.namespace,
                    uid=one.metadata.uid,
                    labels=one.spec.template.metadata.labels,
                ),
                spec=one.spec.template.spec,
            )
            for one in self._daemons.list()
        ]

    # ---- up

    async def _scale_up(self, snapshot: Snapshot, observed: Observed) -> bool:
        """Whether nodes were ordered."""
        now = self._env.clock.now()
        pending = [
            pod
            for pod in self._pods.list()
            if plan_scale_up.is_unschedulable(pod)
            and self._counts(pod)
            and age(pod, now) >= self._settings.new_pod_delay
        ]
        helpless = plan_scale_up.place(snapshot, pending)
        if not helpless:
            return False
        total = self._settings.max_nodes_total
        result = plan_scale_up.plan(
            snapshot,
            helpless,
            list(observed.groups.values()),
            daemons=self._daemon_pods(),
            blocked={group: plan_scale_up.IN_BACKOFF for group in self._failing()},
            room=max(0, total - len(snapshot.nodes)) if total else None,
            expander=self._settings.expander,
            luck=self._env.rng.random(),
        )
        if result.option is None:
            for pod, counts in result.refused:
                text = f"pod didn't trigger scale-up: {plan_scale_up.reasons(counts)}"
                self._events.event(pod, NORMAL, "NotTriggerScaleUp", text)
            return False
        return await self._order(result.option)

    async def _order(self, option: Option) -> bool:
        group, size = option.group, option.group.target_size
        new = size + option.delta
        text = f"group {group.id} size"
        self._events.event(
            self._about,
            NORMAL,
            "ScaledUpGroup",
            f"Scale-up: setting {text} to {new} instead of {size} (max: {group.max_size})",
        )
        try:
            await self._groups.increase_size(group.id, option.delta)
        except Exception as error:
            self._fail(group.id, str(error))
            text = f"Scale-up failed for group {group.id}: {error}"
            self._events.event(self._about, WARNING, "FailedToScaleUpGroup", text)
            return False
        self._events.event(
            self._about,
            NORMAL,
            "ScaledUpGroup",
            f"Scale-up: {text} set to {new} instead of {size} (max: {group.max_size})",
        )
        for pod in option.pods:
            text = f"pod triggered scale-up: [{{{group.id} {size}->{new} (max: {group.max_size})}}]"
            self._events.event(pod, NORMAL, "TriggeredScaleUp", text)
        self._postpone(self._settings.delay_after_add)
        return True

    def _postpone(self, seconds: float) -> None:
        until = self._env.clock.monotonic() + seconds
        self._no_removal_before = max(self._no_removal_before, until)

    def _fail(self, group: str, reason: str) -> None:
        _, pause, _ = self._backoff.get(group, (0.0, self._settings.first_backoff, ""))
        until = self._env.clock.monotonic() + pause
        self._backoff[group] = until, min(2 * pause, self._settings.max_backoff), reason

    def _failing(self) -> set[str]:
        now = self._env.clock.monotonic()
        return {group for group, (until, _, _) in self._backoff.items() if until > now}

    async def _give_up(self, observed: Observed) -> None:
        """Delete machines that did not become nodes in time, or cannot be made."""
        now = self._env.clock.monotonic()
        waiting = {one.provider_id for _, one in observed.unregistered}
        self._ordered = {id_: since for id_, since in self._ordered.items() if id_ in waiting}
        for group, instance in observed.unregistered:
            since = self._ordered.setdefault(instance.provider_id, now)
            late = now - since >= self._settings.provision_time
            if not late and not instance.error:
                continue
            reason = instance.error or "it did not become a node in time"
            self._fail(group.id, reason)
            text = f"Removed unregistered node {instance.provider_id}: {reason}"
            try:
                await self._groups.delete_instances(group.id, [instance.provider_id])
            except Exception as error:
                text = f"Failed to remove node {instance.provider_id}: {error}"
                self._events.event(self._about, WARNING, "DeleteUnregisteredFailed", text)
            else:
                self._events.event(self._about, NORMAL, "DeleteUnregistered", text)

    # ---- down

    def _unneeded_nodes(self, snapshot: Snapshot, observed: Observed) -> list[Removal]:
        """The nodes that can go now, and since when, as ``_unneeded`` notes."""
        budgets: dict[str, list[PodDisruptionBudget]] = {}
        for budget in self._budgets.list():
            budgets.setdefault(budget.metadata.namespace, []).append(budget)
        unready = [
            name
            for name in observed.group_of
            if not is_ready(observed.nodes[name]) and not self._is_young(observed.nodes[name])
        ]
        for name in unready:
            # Its pods count as there until it is gone; whatever fits elsewhere may move.
            pods = [pod for pod in self._pods.list() if pod.spec.nodeName == name]
            snapshot.add_node(observed.nodes[name], [p for p in pods if not of_pods.is_finished(p)])
        plan = plan_scale_down.plan(snapshot, observed.group_of, budgets, self._settings)
        now = self._env.clock.monotonic()
        found = {one.node.metadata.name for one in plan.removals} - set(self._removing)
        self._unneeded = {name: self._unneeded.get(name, now) for name in found}
        return [one for one in plan.removals if one.node.metadata.name in found]

    def _remove(self, removals: Sequence[Removal], observed: Observed) -> None:
        """Begin to remove the nodes whose time has come."""
        now = self._env.clock.monotonic()
        if now < self._no_removal_before:
            return
        selected = plan_scale_down.due(
            removals,
            list(observed.groups.values()),
            observed.group_of,
            {name: now - since for name, since in self._unneeded.items()},
            {name for name, node in observed.nodes.items() if not is_ready(node)},
            (len(self._removing), sum(self._removing.values())),
            self._settings,
        )
        for removal in selected:
            name = removal.node.metadata.name
            self._removing[name] = bool(removal.pods)
            self._tasks.create_task(
                self._remove_one(removal, observed.group_of[name]), name=f"remove {name}"
            )

    async def _remove_one(self, removal: Removal, group: str) -> None:
        name = removal.node.metadata.name
        try:
            if await self._drainer.remove(removal, group):
                self._postpone(self._settings.delay_after_delete)
            else:
                self._postpone(self._settings.delay_after_failure)
        finally:
            del self._removing[name]
            self._unneeded.pop(name, None)

    async def _set_candidates(self, removals: Sequence[Removal], observed: Observed) -> None:
        """Candidates have a taint by which the scheduler prefers other nodes."""
        candidates = {one.node.metadata.name for one in removals}
        changes = self._settings.soft_taints
        for name in sorted(observed.group_of):
            node = observed.nodes[name]
            others = [one for one in node.spec.taints if one.key != taints.DELETION_CANDIDATE]
            tainted = len(others) < len(node.spec.taints)
            if tainted == (name in candidates) or name in self._removing or changes <= 0:
                continue
            changes -= 1
            stamp = str(int(self._env.clock.now()))
            soft = Taint(key=taints.DELETION_CANDIDATE, value=stamp, effect="PreferNoSchedule")
            desired = [*others, soft] if name in candidates else others
            change = {
                "metadata": {"resourceVersion": node.metadata.resourceVersion},
                "spec": {"taints": desired or None},
            }
            try:
                await self._client.patch(Node, name, None, change)
            except _ERRORS as error:
                self._env.log.info("node %s: %s", name, error)

    # ---- status

    async def _write_status(self, observed: Observed, removals: Sequence[Removal]) -> None:
        now, settings = self._env.clock.now(), self._settings
        failing = self._failing()
        statuses = []
        for group in observed.groups.values():
            coming = any(one.id == group.id for one, _ in observed.upcoming)
            scale_up = "InProgress" if coming else "NoActivity"
            reason = self._backoff[group.id][2] if group.id in failing else ""
            statuses.append(
                GroupStatus(
                    group=group,
                    counts=observed.count(group.id, now, settings.provision_time),
                    scale_up="Backoff" if reason else scale_up,
                    backoff=reason,
                    candidates=sum(
                        observed.group_of[one.node.metadata.name] == group.id for one in removals
                    ),
                )
            )
        whole = observed.count(None, now, settings.provision_time)
        content = (whole, [(one.group.id, *one[1:], one.group.target_size) for one in statuses])
        if self._written[0] == content and now - self._written[1] < STATUS_PERIOD:
            return
        text = compute_status.text(statuses, whole, self._transitions, now)
        await self._put(text, now)
        self._written = content, now

    async def _put(self, text: str, now: float) -> None:
        name, namespace = self._settings.status_config_map, self._settings.namespace
        annotations = {LAST_UPDATED: time.format(now)}
        change: Mapping[str, object] = {
            "metadata": {"annotations": annotations},
            "data": {"status": text},
        }
        try:
            await self._client.patch(ConfigMap, name, namespace, dict(change))
        except ApiError as error:
            if not errors.is_not_found(error):
                raise
            metadata = ObjectMeta(name=name, namespace=namespace, annotations=annotations)
            await self._client.create(ConfigMap(metadata=metadata, data={"status": text}))


def make(context: CloudContext, settings: Settings) -> ClusterAutoscaler | None:
    """The loop; none where the provider has no node groups."""
    groups = context.cloud.node_groups
    return ClusterAutoscaler(context, groups, settings) if groups is not None else None

"""The pod workers of the node: starts and removes one for each pod.

In: pods from the API (``desired/source``), UIDs of pods that changed (``observe``). Out: workers in
the component's task group. Rules: reference "Pod worker states"; admission happens once, when a pod
is first observed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from trireme.api.core import v1 as core
from trireme.kubelet import podspec
from trireme.kubelet.admit import decide, preempt
from trireme.kubelet.admit.decide import NodeView
from trireme.kubelet.resize.conditions import DEFERRED
from trireme.kubelet.resize.manager import Refusal, Resizes
from trireme.kubelet.status.compute import Failure
from trireme.kubelet.worker import Deps, State, Worker


class Workers:
    """The set of workers. ``node_view`` is used for each admission; ``newest_view``, which reads
    from the API, before a pod is rejected because of the Node object."""

    def __init__(
        self,
        deps: Deps,
        group: asyncio.TaskGroup,
        node_view: Callable[[], NodeView],
        newest_view: Callable[[], Awaitable[NodeView]],
    ) -> None:
        self._deps = deps
        self._group = group
        self._node_view = node_view
        self._newest_view = newest_view
        # Pods whose admission waits for the Node object to be read.
        self._admitting: dict[str, core.Pod] = {}
        self._workers: dict[str, Worker] = {}
        self._rejected: set[str] = set()
        self.resizes = Resizes(
            deps.env, deps.allocations, deps.events, self._refusal, self._reallocated
        )

    def pods(self) -> list[core.Pod]:
        """Every pod that is bound to this node and not removed yet."""
        return [worker.pod for worker in self._workers.values()]

    def active(self) -> list[core.Pod]:
        """Pods that hold resources of the node."""
        return [
            worker.pod
            for worker in self._workers.values()
            if worker.state is State.SYNCING
            and worker.uid not in self._rejected
            and not podspec.is_terminal(worker.pod.status)
        ]

    def get(self, uid: str) -> Worker | None:
        return self._workers.get(uid)

    def find(self, namespace: str, name: str) -> Worker | None:
        return next(
            (
                worker
                for worker in self._workers.values()
                if worker.pod.metadata.name == name and worker.pod.metadata.namespace == namespace
            ),
            None,
        )

    def set(self, pod: core.Pod) -> None:
        """A pod of this node was added or changed in the API."""
        uid = pod.metadata.uid
        worker = self._workers.get(uid)
        if worker is not None:
            worker.update(self.resizes.update(pod))
            return
        if podspec.is_terminal(pod.status) and pod.metadata.deletionTimestamp is None:
            # Ended before this kubelet ran: kept for logs and for its deletion.
            self._start(pod).end(None, None)
            return
        if uid in self._admitting:
            self._admitting[uid] = pod
            return
        failure = self._failure(self.resizes.load(pod), self._node_view())
        if failure is not None and decide.is_of_node(failure):
            self._admitting[uid] = pod
            name = f"admit {pod.metadata.namespace}/{pod.metadata.name}"
            self._group.create_task(self._admit_anew(uid), name=name)
        else:
            self._begin(pod, failure)

    async def _admit_anew(self, uid: str) -> None:
        """Admit by the Node as read from the API now: the cached one may be seconds old."""
        view = await self._newest_view()
        pod = self._admitting.pop(uid, None)
        if pod is not None:
            self._begin(pod, self._failure(self.resizes.load(pod), view))

    def _failure(self, pod: core.Pod, view: NodeView) -> Failure | None:
        if pod.metadata.deletionTimestamp is not None:
            return None
        running = self.active()
        failure = decide.decide(pod, running, view)
        if failure is not None and podspec.is_critical(pod) and decide.is_shortage(failure):
            return self._make_room(pod, running, view, failure)
        return failure

    def _make_room(
        self, pod: core.Pod, running: list[core.Pod], view: NodeView, failure: Failure
    ) -> Failure | None:
        """End other pods for a critical one, unless it could not run even then."""
        victims = preempt.preempt(pod, running, decide.lacking(pod, running, view))
        if victims is None:
            return Failure(
                "UnexpectedAdmissionError",
                "Unexpected error while attempting to recover from admission failure: preemption: "
                f"error finding a set of pods to preempt: no set of running pods found to reclaim "
                f"resources: {failure.message}",
            )
        gone = {victim.metadata.uid for victim in victims}
        left = [other for other in running if other.metadata.uid not in gone]
        other_failure = decide.decide(pod, left, view)
        if other_failure is not None:
            return other_failure
        for victim in victims:
            self._deps.events.pod(victim, "Warning", preempt.REASON, preempt.MESSAGE)
            ended = Failure(preempt.REASON, preempt.MESSAGE, disruption=preempt.DISRUPTION)
            self.evict(victim.metadata.uid, ended, None)
        return None

    def _begin(self, pod: core.Pod, failure: Failure | None) -> None:
        if failure is None:
            self.resizes.admit(pod)
        worker = self._start(self.resizes.load(pod))
        if failure is not None:
            self._rejected.add(worker.uid)
            self._deps.events.pod(pod, "Warning", failure.reason, failure.message)
            worker.reject(failure)

    def remove(self, pod: core.Pod) -> None:
        """The pod was deleted from the API; ``pod`` is its last version."""
        self._admitting.pop(pod.metadata.uid, None)
        worker = self._workers.get(pod.metadata.uid)
        if worker is not None:
            self._deps.statuses.forget(worker.uid)
            worker.release(pod)

    def notify(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.notify()

    def end_orphan(self, pod: core.Pod) -> None:
        """Terminate a pod that the runtime has and the API does not."""
        if pod.metadata.uid not in self._workers:
            self._start(pod, orphan=True)

    def evict(self, uid: str, failure: Failure, grace: int | None) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.end(failure, grace)

    def grace(self, uid: str) -> int:
        """Seconds that the pod has to end."""
        worker = self._workers.get(uid)
        return worker.grace_seconds() if worker is not None else 0

    async def wait_cleaned_up(self, pods: Iterable[core.Pod], within: float, every: float) -> None:
        """Returns when nothing of the pods is left, or after ``within`` seconds; looks at it again
        ``every`` so many."""
        clock, uids = self._deps.env.clock, [pod.metadata.uid for pod in pods]
        end = clock.monotonic() + within
        while clock.monotonic() < end and not all(map(self.is_cleaned_up, uids)):
            await clock.sleep(every)

    def is_cleaned_up(self, uid: str) -> bool:
        """Whether nothing of the pod runs, and its volumes and cgroup are removed."""
        worker = self._workers.get(uid)
        return worker is None or worker.state in (State.FINISHED, State.REMOVED)

    def _start(self, pod: core.Pod, *, orphan: bool = False) -> Worker:
        worker = self._workers[pod.metadata.uid] = Worker(
            self._deps, pod, self.resizes, orphan=orphan
        )
        name = f"pod {pod.metadata.namespace}/{pod.metadata.name}"
        task = self._group.create_task(worker.run(), name=name)
        task.add_done_callback(lambda _: self._forget(worker))
        return worker

    def _forget(self, worker: Worker) -> None:
        if self._workers.get(worker.uid) is worker:
            del self._workers[worker.uid]
        self._rejected.discard(worker.uid)
        self._deps.allocations.forget(worker.uid)

    def _refusal(self, pod: core.Pod) -> Refusal | None:
        """Why ``pod``'s desired resources cannot be allocated now."""
        others = [other for other in self.active() if other.metadata.uid != pod.metadata.uid]
        failure = decide.decide(pod, others, self._node_view())
        return None if failure is None else Refusal(DEFERRED, failure.message)

    def _reallocated(self, pod: core.Pod) -> None:
        worker = self._workers.get(pod.metadata.uid)
        if worker is not None:
            worker.update(pod)

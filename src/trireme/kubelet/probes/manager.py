"""Run every probe of every pod on its own schedule.

In: pods with their containers' present state (``sync``), from workers. Out: ``results`` by
container id, and calls of ``changed(uid)`` when a result changes. Rules: reference "Probes". One
task per probe, in the component's task group, cancelled when the pod no longer needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from trireme.api.core import v1 as core
from trireme.kit import waiting
from trireme.kit.env import Env
from trireme.kubelet import podspec
from trireme.kubelet.events import WARNING, Events
from trireme.kubelet.probes import decide
from trireme.kubelet.probes.decide import ProbeResults
from trireme.kubelet.probes.run import Answer, Prober, Verdict

ATTEMPTS = 3

Key = tuple[str, str, str]  # pod UID, container, kind


class Target(msgspec.Struct, frozen=True):
    """The container to probe, as observed by the last round of the pod's worker."""

    container_id: str
    running: bool
    started_at: float
    started: bool
    pod_ip: str


class _Probe:
    """One running probe."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.wake = asyncio.Event()
        self.pod: core.Pod | None = None
        self.target: Target | None = None


class ProbeManager:
    """Owned by the component; ``group`` outlives every probe."""

    def __init__(
        self,
        env: Env,
        group: asyncio.TaskGroup,
        prober: Prober,
        events: Events,
        changed: Callable[[str], None],
    ) -> None:
        self._env = env
        self._group = group
        self._prober = prober
        self._events = events
        self._changed = changed
        self._probes: dict[Key, _Probe] = {}
        self._results: dict[str, dict[str, bool]] = {kind: {} for kind in decide.KINDS}
        self._born = env.clock.monotonic()

    def results(self) -> ProbeResults:
        """Views of the present results: the caller must not keep them over an await."""
        return ProbeResults(
            liveness=self._results[decide.LIVENESS],
            startup=self._results[decide.STARTUP],
            readiness=self._results[decide.READINESS],
        )

    def sync(self, pod: core.Pod, targets: Mapping[str, Target], *, stopping: bool = False) -> None:
        """Run the probes of ``pod``; with ``stopping``, only readiness probes."""
        for kind_of, container in podspec.containers(pod):
            if kind_of == "ephemeral" or (kind_of == "init" and not podspec.is_sidecar(container)):
                continue
            for kind in decide.KINDS:
                if decide.of(container, kind) is None:
                    continue
                key = (pod.metadata.uid, container.name, kind)
                if stopping and kind != decide.READINESS:
                    self._stop(key)
                    continue
                self._update(key, pod, container, targets.get(container.name))

    def remove(self, uid: str) -> None:
        for key in [key for key in self._probes if key[0] == uid]:
            self._stop(key)

    def _update(
        self, key: Key, pod: core.Pod, container: core.Container, target: Target | None
    ) -> None:
        probe = self._probes.get(key)
        if probe is None:
            probe = self._probes[key] = _Probe()
            name = f"probe {'/'.join(key)}"
            probe.task = self._group.create_task(self._run(key, container, probe), name=name)
        before, probe.pod, probe.target = probe.target, pod, target
        turned = target is not None and (before is None or before.started != target.started)
        if turned or _id(before) != _id(target):
            probe.wake.set()

    def _stop(self, key: Key) -> None:
        probe = self._probes.pop(key, None)
        if probe is None:
            return
        if probe.task is not None:
            probe.task.cancel()
        if probe.target is not None:
            self._results[key[2]].pop(probe.target.container_id, None)

    async def _run(self, key: Key, container: core.Container, probe: _Probe) -> None:
        spec = decide.of(container, key[2])
        assert spec is not None
        period = float(spec.periodSeconds or 10)
        if self._env.clock.monotonic() - self._born < period:
            # After a restart of the kubelet, do not probe all containers at once.
            await self._env.clock.sleep(self._env.rng.random() * min(period, 1.0))
        state, container_id = decide.State(), ""
        while True:
            probe.wake.clear()
            target = probe.target
            if target is not None and target.container_id != container_id:
                self._results[key[2]].pop(container_id, None)
                container_id, state = target.container_id, decide.State()
                self._set_initial(key, target)
            if target is not None and container_id and not state.held:
                try:
                    state = await self._once(key, container, spec, probe, target, state)
                except Exception:
                    # An error in one probe must not end the others.
                    self._env.log.exception("pod %s: container %s: %s probe failed", *key)
            await waiting.wait(probe.wake, self._pause(spec, target, period))

    async def _once(
        self,
        key: Key,
        container: core.Container,
        spec: core.Probe,
        probe: _Probe,
        target: Target,
        state: decide.State,
    ) -> decide.State:
        uid, _, kind = key
        if not target.running:
            self._set(uid, kind, target.container_id, False)
            return state
        age = self._env.clock.now() - target.started_at
        if not decide.may_run(kind, spec, age=age, started=target.started):
            return state
        answer = await self._ask(spec, container, target)
        if probe.target is None or probe.target.container_id != target.container_id:
            return state
        assert probe.pod is not None
        self._record_event(probe.pod, container, kind, answer)
        if answer.verdict is Verdict.ERROR:
            return state
        state, result = decide.step(kind, spec, state, answer.passed)
        if result is not None:
            self._set(uid, kind, target.container_id, result)
        return state

    async def _ask(self, spec: core.Probe, container: core.Container, target: Target) -> Answer:
        answer = Answer(Verdict.ERROR, "no attempt was made")
        for _ in range(ATTEMPTS):
            answer = await self._prober.probe(spec, container, target.container_id, target.pod_ip)
            if answer.verdict is not Verdict.ERROR:
                break
        return answer

    def _record_event(
        self, pod: core.Pod, container: core.Container, kind: str, answer: Answer
    ) -> None:
        if answer.verdict is Verdict.FAILURE:
            reason, words = "Unhealthy", "failed"
        elif answer.verdict is Verdict.ERROR:
            reason, words = "Unhealthy", "errored and resulted in unknown state"
        elif answer.verdict is Verdict.WARNING:
            reason, words = "ProbeWarning", "warning"
        else:
            return
        self._events.container(
            pod, container.name, WARNING, reason, f"{kind} probe {words}: {answer.output}"
        )

    def _pause(self, spec: core.Probe, target: Target | None, period: float) -> float | None:
        """Seconds until the next probe: a period, or the rest of the initial delay."""
        if target is None:
            return None
        left = spec.initialDelaySeconds - (self._env.clock.now() - target.started_at)
        return min(left, period) if target.running and left > 0 else period

    def _set_initial(self, key: Key, target: Target) -> None:
        initial = decide.INITIAL[key[2]]
        # For a container that was started before this kubelet, the API's status holds until then.
        fresh = target.started_at >= self._env.clock.now() - 10 or not target.running
        if key[2] == decide.STARTUP and target.started:
            initial, fresh = True, True
        if initial is not None and fresh:
            self._results[key[2]][target.container_id] = initial

    def _set(self, uid: str, kind: str, container_id: str, result: bool) -> None:
        if self._results[kind].get(container_id) is not result:
            self._results[kind][container_id] = result
            self._changed(uid)


def _id(target: Target | None) -> tuple[str, bool]:
    return (target.container_id, target.running) if target is not None else ("", False)

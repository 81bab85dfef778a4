"""The plan of one round: tables of what is, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kubelet.harness import container, pod

from trireme.api.core import v1 as core
from trireme.kubelet import podspec
from trireme.kubelet.backoff import Backoff
from trireme.kubelet.cri.model import ContainerState, SandboxState
from trireme.kubelet.observe.model import ObservedContainer, ObservedPod, ObservedSandbox
from trireme.kubelet.probes.decide import ProbeResults
from trireme.kubelet.sync import plan
from trireme.kubelet.sync.plan import (
    CreateSandbox,
    Kill,
    KillPod,
    PruneInit,
    PurgeInit,
    Start,
    Wait,
)

NOW = 1000.0


def observed(*containers: ObservedContainer, ready: bool = True, attempt: int = 0) -> ObservedPod:
    state = SandboxState.READY if ready else SandboxState.NOTREADY
    return ObservedPod(
        uid="u",
        sandboxes=(ObservedSandbox(id="s", attempt=attempt, state=state, ips=("10.0.0.1",)),),
        containers=containers,
    )


def one(name: str, state: int = ContainerState.RUNNING, **fields: Any) -> ObservedContainer:
    fields.setdefault("spec_hash", podspec.spec_hash(container(name)))
    return ObservedContainer(id=f"id-{name}", name=name, state=state, **fields)


def exited(name: str, code: int = 0, **fields: Any) -> ObservedContainer:
    fields.setdefault("finished_at", int((NOW - 1) * 1e9))
    return one(name, ContainerState.EXITED, exit_code=code, **fields)


def actions(
    of: core.Pod,
    what: ObservedPod,
    probes: ProbeResults = ProbeResults(),
    crashes: Backoff | None = None,
) -> list[plan.Action]:
    return list(plan.plan(of, what, probes, crashes or Backoff(), NOW).actions)


def test_a_new_pod() -> None:
    assert actions(pod("p", container("a"), container("b")), ObservedPod(uid="u")) == [
        CreateSandbox(0),
        Start("a", "container", None),
        Start("b", "container", None),
    ]


def test_a_new_pod_with_init_containers_starts_the_first_only() -> None:
    of = pod("p", initContainers=[container("i"), container("j")])
    assert actions(of, ObservedPod(uid="u")) == [
        CreateSandbox(0),
        Start("i", "init", None, required=True),
    ]


def test_nothing_to_do() -> None:
    assert actions(pod("p", container("a")), observed(one("a"))) == []


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_restart_policy(policy: str, code: int, again: bool) -> None:
    of = pod("p", container("a"), container("b"), restartPolicy=policy)
    expected = [Start("a", "container", 1)] if again else []
    assert actions(of, observed(exited("a", code), one("b"))) == expected


def test_a_container_policy_overrides_the_pods() -> None:
    rule = core.ContainerRestartRule(
        action="Restart", exitCodes=core.ContainerRestartRuleOnExitCodes(operator="In", values=[42])
    )
    of = pod(
        "p",
        container("a", restartPolicy="Never", restartPolicyRules=[rule]),
        container("b"),
        restartPolicy="Always",
    )
    assert actions(of, observed(exited("a", 1), one("b"))) == []
    assert actions(of, observed(exited("a", 42), one("b"))) == [Start("a", "container", 1)]


def test_all_done_ends_the_pod() -> None:
    of = pod(
        "p",
        container("a"),
        restartPolicy="OnFailure",
        initContainers=[container("s", restartPolicy="Always")],
    )
    assert actions(of, observed(one("s"), exited("a"))) == [KillPod(replace=False)]


def test_a_deleted_pod_starts_nothing() -> None:
    of = pod("p", container("a"))
    of.metadata.deletionTimestamp = "2030-01-01T00:00:00Z"
    assert actions(of, observed(exited("a"))) == [KillPod(replace=False)]


def test_a_changed_image_restarts_whatever_the_policy() -> None:
    of = pod("p", container("a"), restartPolicy="Never")
    assert actions(of, observed(one("a", spec_hash="old"))) == [
        Kill("id-a", "a", "Container a definition changed, will be restarted", ""),
        Start("a", "container", 1),
    ]


def test_failed_probes_kill() -> None:
    of = pod("p", container("a"), restartPolicy="Never")
    assert actions(of, observed(one("a")), ProbeResults(liveness={"id-a": False})) == [
        KillPod(replace=False)
    ]
    of.spec.restartPolicy = "Always"
    assert actions(of, observed(one("a")), ProbeResults(startup={"id-a": False})) == [
        Kill("id-a", "a", "Container a failed startup probe, will be restarted", plan.STARTUP),
        Start("a", "container", 1),
    ]


def test_crash_back_off() -> None:
    of, crashes = pod("p", container("a")), Backoff()
    what = observed(exited("a", 1, restart_count=2))
    assert actions(of, what, crashes=crashes) == [Start("a", "container", 3)]
    crashes.next(plan.crash_key(of, of.spec.containers[0]), NOW - 20, NOW - 20)
    assert actions(of, what, crashes=crashes) == [Wait("a", "container", 10.0, NOW - 1 + 10.0)]


def test_a_lost_sandbox() -> None:
    of = pod("p", container("a"), initContainers=[container("i")])
    assert actions(of, observed(exited("a"), exited("i"), ready=False)) == [
        KillPod(replace=True),
        PurgeInit(),
        CreateSandbox(1),
        Start("i", "init", 1, required=True),
    ]
    of.spec.restartPolicy = "Never"
    assert actions(of, observed(exited("a"), ready=False)) == [KillPod(replace=False)]


def test_on_failure_does_not_run_twice_what_succeeded() -> None:
    of = pod("p", container("a"), container("b"), restartPolicy="OnFailure")
    assert actions(of, observed(exited("a"), exited("b", 1), ready=False)) == [
        KillPod(replace=True),
        CreateSandbox(1),
        Start("b", "container", 1),
    ]
    assert actions(of, observed(exited("a"), exited("b"), ready=False)) == [KillPod(replace=False)]


def test_sidecars_gate_the_next_init_container() -> None:
    probe = core.Probe(exec=core.ExecAction(command=["true"]))
    of = pod(
        "p",
        container("m"),
        initContainers=[container("s", restartPolicy="Always", startupProbe=probe), container("i")],
    )
    assert actions(of, observed(one("s"))) == []
    assert actions(of, observed(one("s")), ProbeResults(startup={"id-s": True})) == [
        Start("i", "init", None, required=True)
    ]
    assert actions(of, observed(one("s"), exited("i")), ProbeResults(startup={"id-s": True})) == [
        Start("m", "container", None)
    ]


def test_a_dead_sidecar_is_restarted_beside_the_pod() -> None:
    of = pod("p", container("m"), initContainers=[container("s", restartPolicy="Always")])
    assert actions(of, observed(exited("s", 1), one("m"))) == [Start("s", "init", 1)]


def test_completed_init_containers_may_be_forgotten_by_the_runtime() -> None:
    of = pod("p", container("m"), initContainers=[container("i"), container("j")])
    assert actions(of, observed(one("m"))) == []
    assert actions(of, observed(exited("j"))) == [Start("m", "container", None)]


def test_failed_init_container_ends_a_pod_that_never_restarts() -> None:
    of = pod("p", container("m"), restartPolicy="Never", initContainers=[container("i")])
    assert actions(of, observed(exited("i", 1))) == [KillPod(replace=False)]


def test_old_init_instances_are_pruned() -> None:
    of = pod("p", container("m"), initContainers=[container("i")])
    assert actions(of, observed(exited("i"), exited("i", 1), one("m"))) == [PruneInit()]


def test_ephemeral_containers_start_once() -> None:
    of = pod("p", container("m"))
    of.spec.ephemeralContainers = [core.EphemeralContainer(name="debug", image="web")]
    assert actions(of, observed(one("m"))) == [Start("debug", "ephemeral", None)]
    assert actions(of, observed(one("m"), exited("debug", 1))) == []


STATES = st.sampled_from(list(ContainerState))


@given(
    states=st.lists(
        st.one_of(st.none(), st.tuples(STATES, st.integers(0, 2))), min_size=4, max_size=4
    ),
    policy=st.sampled_from(["Always", "OnFailure", "Never"]),
    ready=st.booleans(),
)
def test_no_plan_starts_what_runs_or_what_may_not(states: list, policy: str, ready: bool) -> None:
    of = pod(
        "p",
        container("a"),
        container("b"),
        restartPolicy=policy,
        initContainers=[container("i"), container("s", restartPolicy="Always")],
    )
    found = [
        one(name, state[0], exit_code=state[1], finished_at=1)
        for name, state in zip(("i", "s", "a", "b"), states, strict=True)
        if state is not None
    ]
    what = observed(*found, ready=ready)
    made = actions(of, what)
    killed = {a.name for a in made if isinstance(a, Kill)}
    replaced = any(isinstance(a, KillPod | CreateSandbox) for a in made)
    for action in made:
        if not isinstance(action, Start | Wait):
            continue
        latest = what.latest(action.name)
        if latest is not None and latest.running:
            assert action.name in killed or replaced
        if latest is not None and latest.exited and not replaced and action.kind == "container":
            container_ = podspec.find(of, action.name)
            assert container_ is not None
            assert podspec.should_restart(container_, of, latest.exit_code)
    names = [a.name for a in made if isinstance(a, Start)]
    assert len(names) == len(set(names))
    if made and isinstance(made[-1], KillPod):
        assert not names

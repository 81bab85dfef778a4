"""The kubelet's patches of a Pod's and a Node's status."""

from __future__ import annotations

from trireme.api.core import v1 as core
from trireme.kubelet.config import KubeletConfig
from trireme.kubelet.cri import model
from trireme.kubelet.node import status as node_status
from trireme.kubelet.node.machine import Machine
from trireme.kubelet.status import patch


def test_status_patches_delete_what_left_a_keyed_list() -> None:
    before = core.PodStatus(
        podIPs=[core.PodIP(ip="1"), core.PodIP(ip="2")],
        podIP="1",
        conditions=[core.PodCondition(type="Ready", status="False", reason="x")],
    )
    after = core.PodStatus(
        podIPs=[core.PodIP(ip="2")], conditions=[core.PodCondition(type="Ready", status="True")]
    )
    made = patch.status_patch("u", before, after)
    assert made is not None
    assert made["metadata"] == {"uid": "u"}
    assert made["status"]["podIPs"] == [{"$patch": "delete", "ip": "1"}]
    assert made["status"]["podIP"] is None
    (condition,) = made["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("True", None)
    assert patch.status_patch("u", after, after) is None


def condition(kind: str, status: str = "True", reason: str = "") -> core.PodCondition:
    return core.PodCondition(type=kind, status=status, reason=reason)


def test_status_patches_hold_only_what_the_kubelet_owns() -> None:
    """``present`` is newer than the status that we computed: others have written meanwhile."""
    present = core.PodStatus(
        phase="Pending",
        nominatedNodeName="n",
        conditions=[
            condition("example.com/gate", "False"),
            condition("DisruptionTarget", reason="PreemptionByScheduler"),
            condition("PodScheduled"),
        ],
        resourceClaimStatuses=[core.PodResourceClaimStatus(name="c", resourceClaimName="x")],
    )
    computed = core.PodStatus(
        phase="Running",
        conditions=[
            condition("example.com/gate"),
            condition("DisruptionTarget", "False", "Older"),
            condition("Ready"),
            condition("PodScheduled"),
        ],
    )
    made = patch.status_patch("u", present, computed)
    assert made is not None
    (written,) = made["status"].pop("conditions")
    assert (written["type"], written["status"]) == ("Ready", "True")
    assert made["status"] == {"phase": "Running"}
    # What we own goes when it is no longer so.
    made = patch.status_patch("u", computed, core.PodStatus(phase="Running"))
    assert made is not None
    assert made["status"]["conditions"] == [
        {"$patch": "delete", "type": "Ready"},
        {"$patch": "delete", "type": "PodScheduled"},
    ]


def test_a_disruption_of_our_own_is_written_over_anothers() -> None:
    ours = core.PodStatus(conditions=[condition("DisruptionTarget", reason="TerminationByKubelet")])
    theirs = core.PodStatus(
        conditions=[condition("DisruptionTarget", reason="EvictionByEvictionAPI")]
    )
    for present in (core.PodStatus(), theirs):
        made = patch.status_patch("u", present, ours)
        assert made is not None
        (written,) = made["status"]["conditions"]
        assert written["reason"] == "TerminationByKubelet"
    assert patch.status_patch("u", ours, ours) is None
    assert patch.status_patch("u", ours, core.PodStatus()) is None


def test_the_nodes_status_keeps_what_others_advertise() -> None:
    facts = node_status.Facts(
        config=KubeletConfig(node_name="n", node_ips=("10.0.0.1",)),
        machine=Machine(),
        health=node_status.Health(),
        version=model.Version(),
        runtime=model.Status(),
    )
    given = {"example.com/foo": "5", "hugepages-1Gi": "1Gi", "cpu": "1"}
    after = node_status.status(facts, core.NodeStatus(capacity=given, allocatable={}))
    assert after.capacity["example.com/foo"] == after.allocatable["example.com/foo"] == "5"
    assert after.capacity["cpu"] == "4" and "hugepages-1Gi" not in after.capacity


def test_a_condition_keeps_the_time_of_its_last_transition() -> None:
    def conditions(before: list[core.NodeCondition], now: float, problem: str) -> dict:
        facts = node_status.Facts(
            config=KubeletConfig(node_name="n", node_ips=("10.0.0.1",)),
            machine=Machine(),
            health=node_status.Health(not_ready=problem),
            version=model.Version(),
            runtime=model.Status(),
            now=now,
        )
        return {found.type: found for found in node_status.conditions(facts, before)}

    first = conditions([], 10.0, "")
    later = conditions([*first.values()], 20.0, "the network is not ready")
    assert later["Ready"].status == "False"
    assert later["Ready"].lastTransitionTime == later["Ready"].lastHeartbeatTime
    kept = later["MemoryPressure"]
    assert kept.lastTransitionTime == first["MemoryPressure"].lastTransitionTime
    assert kept.lastTransitionTime != kept.lastHeartbeatTime

"""The queue's rules, by upstream's: order, back-off, what moves a pod and where to."""

from __future__ import annotations

import pytest

from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.scheduling import PodSchedulingGate
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.machinery.meta import ObjectMeta
from trireme.scheduler.queue import ANYTHING, Place, Queue, backoff

FIT, TAINT = frozenset({"NodeResourcesFit"}), frozenset({"TaintToleration"})


def pod(name: str, priority: int = 0, gated: bool = False, label: str = "") -> Pod:
    gates = [PodSchedulingGate(name="a.b/c")] if gated else []
    return Pod(
        metadata=ObjectMeta(name=name, uid=name, namespace="d", labels={"l": label}),
        spec=PodSpec(priority=priority, schedulingGates=gates),
    )


def names(queue: Queue, now: float) -> list[str]:
    found = []
    while (waiting := queue.pop(now)) is not None:
        found.append(waiting.pod.metadata.name)
    return found


def place(queue: Queue, kind: Place) -> int:
    return queue.count(kind)


def test_priority_then_time_of_coming() -> None:
    queue = Queue()
    for name, priority, now in (("a", 0, 0.0), ("b", 5, 1.0), ("c", 5, 0.5), ("d", -1, 0.0)):
        queue.add(pod(name, priority), now)
    assert names(queue, 2.0) == ["c", "b", "a", "d"]


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 0), (1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (500, 10)]
)
def test_backoff_doubles_to_ten_seconds(attempts: int, seconds: float) -> None:
    assert backoff(attempts) == seconds


def test_a_refused_pod_stays_until_what_refused_it_may_have_changed() -> None:
    queue = Queue()
    queue.add(pod("a"), 0.0)
    assert names(queue, 0.0) == ["a"]
    queue.add_unschedulable("a", FIT, 0.0)
    assert not queue.move_all(TAINT, 1.0)
    assert names(queue, 20.0) == []
    assert queue.move_all(FIT | TAINT, 20.0)
    assert place(queue, Place.ACTIVE) == 1


def test_a_refused_pod_backs_off_behind_others_but_not_when_nothing_else_waits() -> None:
    queue = Queue()
    queue.add(pod("a", 9), 0.0)
    queue.pop(0.0)
    queue.add_unschedulable("a", FIT, 0.0)
    queue.move_all(FIT, 0.1)
    assert place(queue, Place.BACKOFF) == 1
    queue.add(pod("b"), 0.2)
    assert names(queue, 0.2) == ["b", "a"]


def test_an_error_backs_off_even_when_nothing_else_waits() -> None:
    queue = Queue()
    queue.add(pod("a"), 0.0)
    for errors, seconds in ((1, 1.0), (2, 2.0), (3, 4.0)):
        now = queue.next_due() or 0.0
        assert names(queue, now) == ["a"]
        queue.add_backoff("a", now)
        assert names(queue, now + seconds - 0.01) == []
        assert queue.next_due() == now + seconds, errors


def test_errors_are_forgotten_after_a_refusal() -> None:
    queue = Queue()
    queue.add(pod("a"), 0.0)
    queue.pop(0.0)
    queue.add_backoff("a", 0.0)
    waiting = queue.pop(1.0)
    assert waiting is not None and waiting.consecutive_errors == 1
    queue.add_unschedulable("a", FIT, 1.0)
    assert (waiting.consecutive_errors, waiting.unschedulable_count, waiting.until) == (0, 1, 2.0)


def test_what_happens_while_a_pod_is_tried_counts_against_its_new_refusal() -> None:
    queue = Queue()
    for name in ("helped", "not"):
        queue.add(pod(name), 0.0)
    queue.pop(0.0)
    queue.pop(0.0)
    queue.move_all(TAINT, 0.0)
    queue.add_unschedulable("helped", TAINT, 0.0)
    queue.add_unschedulable("not", FIT, 0.0)
    assert (place(queue, Place.BACKOFF), place(queue, Place.UNSCHEDULABLE)) == (1, 1)


def test_a_pod_that_no_plugin_refused_is_moved_by_anything() -> None:
    queue = Queue()
    queue.add(pod("a"), 0.0)
    queue.pop(0.0)
    queue.add_unschedulable("a", frozenset(), 0.0)
    assert queue.move_all(TAINT, 5.0)


def test_after_five_minutes_it_is_tried_again_whatever_happened() -> None:
    queue = Queue()
    queue.add(pod("a"), 0.0)
    queue.pop(0.0)
    queue.add_unschedulable("a", FIT, 7.0)
    assert queue.next_due() == 307.0
    assert names(queue, 306.9) == []
    assert names(queue, 307.0) == ["a"]


def test_gates_hold_a_pod_back() -> None:
    queue = Queue()
    queue.add(pod("a", gated=True), 0.0)
    assert names(queue, 1000.0) == []
    queue.move_all(ANYTHING, 1.0)
    assert names(queue, 1000.0) == []
    queue.add(pod("a"), 2.0)
    assert names(queue, 2.0) == ["a"]


def test_a_change_of_its_own_moves_a_pod_and_a_status_does_not() -> None:
    queue = Queue()
    queue.add(pod("a"), 0.0)
    queue.pop(0.0)
    queue.add_unschedulable("a", FIT, 0.0)
    queue.add(pod("a"), 5.0)
    assert names(queue, 5.0) == []
    queue.add(pod("a", label="new"), 5.0)
    assert names(queue, 5.0) == ["a"]


def test_a_dropped_pod_is_nowhere() -> None:
    queue = Queue()
    for name in ("active", "flying", "parked"):
        queue.add(pod(name, {"active": 0, "flying": 2, "parked": 3}[name]), 0.0)
    queue.pop(0.0)
    queue.pop(0.0)
    queue.add_unschedulable("parked", FIT, 0.0)
    for name in ("active", "flying", "parked", "never"):
        queue.drop(name)
    assert len(queue) == 0 and queue.next_due() is None
    queue.add_unschedulable("flying", FIT, 0.0)
    queue.add_backoff("flying", 0.0)
    assert not queue.move_all(ANYTHING, 0.0)
    assert queue.pop(1000.0) is None


def test_a_pod_deleted_and_made_again_with_other_priority_waits_once() -> None:
    queue = Queue()
    queue.add(pod("a", 1), 0.0)
    queue.drop("a")
    queue.add(pod("a", 2), 0.0)
    assert names(queue, 0.0) == ["a"]


def test_a_refused_pod_is_tried_again_in_any_case_after_the_longest_time() -> None:
    queue = Queue(60.0)
    queue.add(pod("a"), 0.0)
    assert names(queue, 0.0) == ["a"]
    queue.add_unschedulable("a", FIT, 0.0)
    assert queue.next_due() == 60.0
    assert names(queue, 59.0) == []
    assert names(queue, 60.0) == ["a"]

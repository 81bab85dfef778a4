"""What the autoscaler takes to fit is what the scheduler does, by the scheduler's reference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scheduler import reference, worlds
from trireme.cloud.autoscaler.compute_fit import Snapshot


@pytest.mark.parametrize("focus", worlds.FOCUS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_as_the_scheduler(focus, data):
    nodes = data.draw(worlds.nodes(focus))
    world = reference.World(list(nodes), [], worlds.SPACES)
    snapshot = Snapshot(worlds.SPACES)
    for node in nodes:
        snapshot.add_node(node)
    for number in range(data.draw(st.integers(0, 6))):
        pod = data.draw(worlds.pods(f"p{number}", focus))
        if nodes:
            place = data.draw(st.sampled_from(nodes)).metadata.name
            world.pods.append((pod, place))
            snapshot.add(pod, snapshot.nodes[place])
    pod = data.draw(worlds.pods("new", focus))
    for node in nodes:
        expected = reference.status(world, pod, node)
        found = snapshot.refusal(pod, snapshot.nodes[node.metadata.name])
        reasons = expected[1] if expected is not None else [""]
        assert found in reasons, (found, expected)


@given(data=st.data())
def test_what_is_taken_away_was_never_there(data):
    nodes = data.draw(worlds.nodes("pods"))
    snapshot = Snapshot(worlds.SPACES)
    for node in nodes:
        snapshot.add_node(node)
    pod = data.draw(worlds.pods("new", "pods"))
    before = [snapshot.refusal(pod, state) for state in snapshot.nodes.values()]
    other = data.draw(worlds.pods("other", "pods"))
    for state in snapshot.nodes.values():
        snapshot.add(other, state)
        snapshot.remove(other, state)
    extra = data.draw(worlds.node("extra", "pods"))
    snapshot.add_node(extra, [other])
    assert snapshot.remove_node("extra") == [other]
    assert [snapshot.refusal(pod, state) for state in snapshot.nodes.values()] == before

"""The node group of a local cluster, without its host: what is ordered, made, deleted, kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cloud import suite

from trireme.api.core import v1 as core
from trireme.cloud.contract import Cloud, InstanceState
from trireme.cluster.hosts import names
from trireme.cluster.hosts import plan as plans
from trireme.cluster.hosts.plan import HostsPlan, NodePlan, Places
from trireme.cluster.local_cloud import group_state
from trireme.cluster.local_cloud.group_state import GroupState
from trireme.cluster.local_cloud.groups import GROUP, LocalNodeGroups
from trireme.testing import virtual

PLAN = plans.make("x", 2)


class Machines:
    """A host in memory. A machine is ready to join when ``create`` was called twice: first its
    network is made, then it has a runtime."""

    def __init__(self) -> None:
        self.there = {"node-0": 2, "node-1": 2}
        self.held: set[str] = set()
        self.problem = ""

    def present(self) -> set[str]:
        return set(self.there)

    async def create(self, plan: HostsPlan, node: NodePlan) -> None:
        if self.problem:
            raise OSError(self.problem)
        assert node in plan.nodes
        self.there[node.name] = self.there.get(node.name, 0) + 1

    def is_created(self, node: NodePlan) -> bool:
        return self.there.get(node.name, 0) >= 2

    def is_let_go(self, node: NodePlan) -> bool:
        return node.name not in self.held

    async def delete(self, plan: HostsPlan, node: NodePlan) -> None:
        assert node not in plan.nodes
        del self.there[node.name]


class Group:
    """The provider, over and over, on one host."""

    def __init__(self, env, folder: Path) -> None:
        self.env = env
        self.machines = Machines()
        self.plan = plans.make("x", 2, places=Places(state=str(folder), run=str(folder)))
        Path(self.plan.state_dir).mkdir(exist_ok=True)
        self.node_groups = self.new()

    name = "trireme"
    instances = load_balancers = routes = clusters = None

    def new(self) -> LocalNodeGroups:
        template = core.Node()
        self.node_groups = LocalNodeGroups(
            self.env, self.plan, 3, self.machines, template, "trireme://x/{}".format
        )
        return self.node_groups

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.node_groups.run())
        try:
            yield
        finally:
            task.cancel()


@virtual.test()
async def test_contract(env, tmp_path):
    group = Group(env, tmp_path)

    def make() -> Cloud:
        group.new()
        return group

    async def settled() -> None:
        group.new()
        async with group.running():
            await env.clock.sleep(5.0)

    await suite.check_node_groups(make, settled)
    assert group.machines.present() == {"node-0", "node-1"}


@virtual.test()
async def test_a_machine_from_order_to_end(env, tmp_path):
    group = Group(env, tmp_path)

    async def states() -> dict[str, InstanceState]:
        (found,) = await group.node_groups.list_node_groups()
        return {one.provider_id.rpartition("/")[2]: one.state for one in found.instances}

    async with group.running():
        await group.node_groups.increase_size(GROUP, 2)
        assert await states() == {
            "node-2": InstanceState.CREATING,
            "node-3": InstanceState.CREATING,
        }
        await env.clock.sleep(3.0)
        assert set((await states()).values()) == {InstanceState.RUNNING}
        group.machines.held.add("node-2")
        await group.node_groups.delete_instances(GROUP, ["trireme://x/node-2"])
        await env.clock.sleep(3.0)
        assert (await states())["node-2"] == InstanceState.DELETING
        group.machines.held.clear()
        await env.clock.sleep(3.0)
        assert set(await states()) == {"node-3"}
        await group.node_groups.increase_size(GROUP, 1)
        assert "node-4" in await states(), "its Node may still be there under the old name"


@virtual.test()
async def test_a_failure_is_reported_and_tried_again(env, tmp_path):
    group = Group(env, tmp_path)
    group.machines.problem = "no space left"
    async with group.running():
        await group.node_groups.increase_size(GROUP, 1)
        await env.clock.sleep(3.0)
        (found,) = await group.node_groups.list_node_groups()
        assert [one.error for one in found.instances] == ["no space left"]
        group.machines.problem = ""
        await env.clock.sleep(15.0)
        (found,) = await group.node_groups.list_node_groups()
        assert [(one.error, one.state) for one in found.instances] == [("", InstanceState.RUNNING)]


@virtual.test()
async def test_what_is_there_and_not_desired_goes(env, tmp_path):
    group = Group(env, tmp_path)
    group.machines.there["node-7"] = 1
    async with group.running():
        await env.clock.sleep(3.0)
    assert group.machines.present() == {"node-0", "node-1"}


@virtual.test()
async def test_the_first_nodes_are_nobodys(env, tmp_path):
    group = Group(env, tmp_path)
    with pytest.raises(ValueError):
        await group.node_groups.delete_instances(GROUP, ["trireme://x/node-0"])


@given(st.lists(st.booleans(), max_size=60))
def test_numbers(steps):
    state = GroupState()
    for grows in steps:
        if grows:
            index = group_state.next_index(state, 2, set())
            assert 2 <= index < names.MAX_NODES
            assert index not in {one.index for one in state.nodes}
            state = GroupState((*state.nodes, plans.node(PLAN, index)), index)
        elif state.nodes:
            state = GroupState(state.nodes[1:], state.last)


def test_numbers_come_again_last():
    late = GroupState((), names.MAX_NODES - 1)
    assert group_state.next_index(late, 2, set()) == 2
    assert group_state.next_index(late, 2, {2, 3}) == 4
    with pytest.raises(LookupError):
        group_state.next_index(late, 2, set(range(names.MAX_NODES)))


def test_a_node_that_joins_is_as_one_that_was_planned():
    assert plans.node(PLAN, 1) == PLAN.nodes[1]
    assert plans.make("x", 5).nodes[4] == plans.node(PLAN, 4)

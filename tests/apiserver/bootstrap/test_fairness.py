"""A cluster's flow schemas, priority levels and Service network, and what people make of them."""

from __future__ import annotations

from typing import Any

from trireme.apiserver.bootstrap import fairness
from trireme.kit.env import Env
from trireme.testing import virtual

GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"
LEVELS, SCHEMAS = f"{GROUP}/prioritylevelconfigurations", f"{GROUP}/flowschemas"
CIDR = "/apis/networking.k8s.io/v1/servicecidrs/kubernetes"


def test_every_schema_has_its_level() -> None:
    levels = {obj.metadata.name for obj in fairness.priority_levels()}
    schemas = fairness.flow_schemas()
    assert len(levels) == 8
    assert len(schemas) == 11
    assert {obj.spec.priorityLevelConfiguration.name for obj in schemas} == levels


def test_a_schema_is_read() -> None:
    found = {obj.metadata.name: obj.spec for obj in fairness.flow_schemas()}
    leases = found["system-leader-election"]
    assert leases.matchingPrecedence == 100
    [policy] = leases.rules
    assert policy.subjects is not None
    assert [subject.kind for subject in policy.subjects] == ["User", "User", "ServiceAccount"]
    [rule] = policy.resourceRules
    assert (rule.apiGroups, rule.resources, rule.clusterScope) == (
        ["coordination.k8s.io"],
        ["leases"],
        False,
    )


def test_who_took_an_object_over_keeps_it() -> None:
    [expected] = [obj for obj in fairness.priority_levels() if obj.metadata.name == "system"]

    def stored(note: str | None, generation: int = 2) -> Any:
        [obj] = [obj for obj in fairness.priority_levels() if obj.metadata.name == "system"]
        assert obj.spec.limited is not None
        obj.spec.limited.nominalConcurrencyShares = 7
        obj.metadata.generation = generation
        obj.metadata.annotations = {} if note is None else {fairness.AUTOUPDATE: note}
        return obj

    assert fairness.updated(stored("false"), expected) is None
    updated = fairness.updated(stored("true"), expected)
    assert updated is not None
    assert updated.spec == expected.spec
    # Without a word, a changed spec is a person's.
    kept = fairness.updated(stored(None), expected)
    assert kept is not None
    assert kept.metadata.annotations == {fairness.AUTOUPDATE: "false"}
    assert kept.spec != expected.spec
    fresh = fairness.updated(stored(None, 1), expected)
    assert fresh is not None
    assert fresh.spec == expected.spec


@virtual.test()
async def test_what_is_mandatory_comes_back(env: Env, asking: Any) -> None:
    async with asking(env, post_start_hooks=True) as ask:
        await ask.must("DELETE", f"{SCHEMAS}/catch-all")
        await ask.must("DELETE", f"{LEVELS}/system")
        stray = await ask.must("GET", f"{LEVELS}/workload-low")
        stray["metadata"] = {"name": "stray", "annotations": {fairness.AUTOUPDATE: "true"}}
        await ask.must("POST", LEVELS, stray)
        shares = await ask.must("GET", f"{LEVELS}/exempt")
        shares["spec"]["exempt"]["lendablePercent"] = 10
        await ask.must("PUT", f"{LEVELS}/exempt", shares)
        await env.clock.sleep(11)
        await ask.must("GET", f"{SCHEMAS}/catch-all")
        await ask.must("GET", f"{LEVELS}/system")
        assert (await ask("GET", f"{LEVELS}/stray"))[0] == 404
        assert (await ask.must("GET", f"{LEVELS}/exempt"))["spec"] == shares["spec"]


@virtual.test()
async def test_the_service_network(env: Env, asking: Any) -> None:
    async with asking(env, post_start_hooks=True, service_cidr="10.96.0.0/16") as ask:
        found = await ask.must("GET", CIDR)
        assert found["spec"] == {"cidrs": ["10.96.0.0/16"]}
        [condition] = found["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("Ready", "True")
        await ask.must("DELETE", CIDR)
        await env.clock.sleep(11)
        assert (await ask.must("GET", CIDR))["status"]["conditions"][0]["status"] == "True"

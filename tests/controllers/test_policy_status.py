"""The warnings about a policy's expressions, as upstream's controller v1.36.2 wrote them for the
same policies; but for upstream's type names, which end in a random number."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers import harness
from trireme.api.admissionregistration.v1.validatingadmissionpolicy_types import (
    ValidatingAdmissionPolicy,
)
from trireme.api.apiextensions.v1.types import CustomResourceDefinition
from trireme.client.served import Served
from trireme.controllers.policies import plan_type_check
from trireme.controllers.policies.plan_type_check import Kind
from trireme.testing import virtual

POLICY_STATUS = "validatingadmissionpolicy-status-controller"

MISMATCH = "found no matching overload for '_==_' applied to "
DEPLOYMENT, POD, THING = "apps/v1, Kind=Deployment", "/v1, Kind=Pod", "example.com/v1, Kind=Thing"


def rule(resources: str, group: str = "apps", version: str = "v1") -> dict[str, Any]:
    names = {"apiGroups": [group], "apiVersions": [version], "resources": resources.split()}
    return {"operations": ["*"], **names}


def policy(name: str, text: str, *rules: dict[str, Any], **spec: Any) -> ValidatingAdmissionPolicy:
    made = {
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": rules or [rule("deployments")]},
            "validations": [{"expression": text}],
            **spec,
        },
    }
    return msgspec.convert(made, ValidatingAdmissionPolicy)


SPEC = {
    "size": {"type": "integer"},
    "at": {"type": "string", "format": "date-time"},
    "port": {"x-kubernetes-int-or-string": True},
}
THINGS = {
    "metadata": {"name": "things.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "properties": SPEC}},
                    }
                },
            }
        ],
    },
}
CONFIG = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}
CRD_RULE = rule("customresourcedefinitions", "apiextensions.k8s.io")
IN_SCHEMA = "object.spec.versions[0].schema.openAPIV3Schema"
# (expression, rules, rest of the spec, the kinds and messages of the warning)
CASES: list[tuple[str, list[dict[str, Any]], dict[str, Any], list[tuple[str, str]]]] = [
    ("object.spec.replicas <= 5", [], {}, []),
    ("object.spec.replicaz <= 5", [], {}, [(DEPLOYMENT, "undefined field 'replicaz'")]),
    ("oldObject.foo == 'x'", [], {}, [(DEPLOYMENT, "undefined field 'foo'")]),
    ("object.spec.replicas == 'a'", [], {}, [(DEPLOYMENT, MISMATCH + "'(int, string)'")]),
    ("object.spec == 'a'", [], {}, [(DEPLOYMENT, MISMATCH + "'(Deployment.spec, string)'")]),
    ("object.spec.overhead == 1", [rule("pods", "")], {}, [(POD, "undefined field 'overhead'")]),
    ("object.spec.ports[0].targetPort == 80", [rule("services", "")], {}, []),
    ("object.spec.ports[0].targetPort == 'a'", [rule("services", "")], {}, []),
    ("params.data.foo == 'x'", [], CONFIG, []),
    ("params.foo == 1", [], CONFIG, [(DEPLOYMENT, "undefined field 'foo'")]),
    ("params.foo == 1", [], {"paramKind": {"apiVersion": "a.b/v1", "kind": "C"}}, []),
    ("object.spec.size > 1", [rule("things", "example.com")], {}, []),
    ("object.spec.siz > 1", [rule("things", "example.com")], {},
     [(THING, "undefined field 'siz'")]),
    ("object.spec.at == 'x'", [rule("things", "example.com")], {},
     [(THING, MISMATCH + "'(timestamp, string)'")]),
    ("object.spec.port == 1", [rule("things", "example.com")], {}, []),
    ("variables.a == 'x'", [], {"variables": [{"name": "a", "expression": "object.spec.replicas"}]},
     [(DEPLOYMENT, MISMATCH + "'(int, string)'")]),
    ("object.foo == 1", [rule("events", "")], {},
     [("/v1, Kind=Event", "undefined field 'foo'"),
      ("events.k8s.io/v1, Kind=Event", "undefined field 'foo'")]),
    ("object.spec.replicas == 1", [rule("deployments"), rule("pods", "")], {},
     [(POD, "undefined field 'replicas'")]),
    ("object.foo == 1", [rule("deployments", "*")], {}, []),
    ("object.foo == 1", [rule("deployments", "apps", "*")], {}, []),
    ("object.foo == 1", [rule("* deployments/scale")], {}, []),
    ("object.foo == 1", [rule("nopes")], {}, []),
    ("object.data['a'] == 'x'", [rule("secrets", "")], {},
     [("/v1, Kind=Secret", MISMATCH + "'(bytes, string)'")]),
    # A schema within itself has no properties.
    (IN_SCHEMA + ".x == 1", [CRD_RULE], {},
     [("apiextensions.k8s.io/v1, Kind=CustomResourceDefinition", "undefined field 'x'")]),
]  # fmt: skip


@virtual.test()
async def test_the_warnings(env):
    async with harness.world(
        env, plays="", controllers=(POLICY_STATUS,), post_start_hooks=True
    ) as w:
        await w.client.create(msgspec.convert(THINGS, CustomResourceDefinition))
        await env.clock.sleep(5)
        for number, (text, rules, spec, _) in enumerate(CASES):
            await w.client.create(policy(f"p{number}", text, *rules, **spec))
        await env.clock.sleep(5)
        for number, (text, _, _, expected) in enumerate(CASES):
            found = await w.client.get(ValidatingAdmissionPolicy, f"p{number}")
            assert found.status.observedGeneration == 1, text
            checked = found.status.typeChecking
            assert checked is not None, text
            warned = [
                (line.partition(": ERROR: ")[0], line.partition(": ERROR: ")[2].split(": ", 1)[1])
                for item in checked.expressionWarnings
                for line in item.warning.splitlines()
                if ": ERROR: " in line
            ]
            assert warned == expected, text


@virtual.test()
async def test_a_warning_and_its_end(env):
    async with harness.world(env, plays="", controllers=(POLICY_STATUS,)) as w:
        validations = [{"expression": "true", "messageExpression": "object.foo + 'a'"}]
        await w.client.create(policy("p", "true", validations=validations))
        await env.clock.sleep(1)
        status = (await w.client.get(ValidatingAdmissionPolicy, "p")).status
        (warning,) = status.typeChecking.expressionWarnings
        assert warning.fieldRef == "spec.validations[0].messageExpression"
        assert warning.warning == (
            f"{DEPLOYMENT}: ERROR: <input>:1:7: undefined field 'foo'\n"
            " | object.foo + 'a'\n | ......^\n"
        )
        change = {"spec": {"validations": [{"expression": "true"}]}}
        await w.client.patch(ValidatingAdmissionPolicy, "p", None, change)
        await env.clock.sleep(1)
        found = await w.client.get(ValidatingAdmissionPolicy, "p")
        assert found.status.observedGeneration == 2
        assert found.status.typeChecking.expressionWarnings == []
        owner = {(item.manager, item.operation) for item in found.metadata.managedFields}
        assert ("validatingadmissionpolicy-status", "Apply") in owner


def test_ten_kinds_of_a_rule_at_most():
    def served(number: int) -> Served:
        return Served(
            group="a",
            version="v1",
            plural=f"k{number:02}s",
            kind=f"K{number:02}",
            namespaced=True,
            verbs=frozenset(),
        )

    known = [served(number) for number in range(12)]
    names = " ".join(item.plural for item in known)
    kinds = plan_type_check.compute_kinds(policy("p", "true", rule(names, "a")), known)
    assert kinds == [Kind("a", "v1", f"K{number:02}") for number in range(10)]
    both = policy("p", "true", rule("k11s", "a"), rule("k03", "a"))
    assert [kind.kind for kind in plan_type_check.compute_kinds(both, known)] == ["K03", "K11"]

"""Expressions see the same of an object's parts as of the whole object."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from trireme.api.admissionregistration.v1.expressions import Compiler
from trireme.api.apps.v1.deployment import Deployment
from trireme.api.core.v1.configmap import ConfigMap
from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver.admission.policies import project
from trireme.expr import cel
from trireme.machinery.codec import json

OBJECTS: list[Any] = [
    ConfigMap(),
    msgspec.json.decode(
        b'{"metadata":{"name":"a","labels":{"x":"1"},"managedFields":[{"manager":"m"}]},'
        b'"data":{"k":"v"},"binaryData":{"b":"aGk="},"immutable":false}',
        type=ConfigMap,
    ),
    msgspec.json.decode(
        b'{"spec":{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":"1"}}}],'
        b'"hostNetwork":true,"securityContext":{}}}',
        type=Pod,
    ),
    msgspec.json.decode(
        b'{"spec":{"replicas":0,"paused":true,"template":{"spec":{"containers":[]}}}}',
        type=Deployment,
    ),
]
EXPRESSIONS = [
    "object",
    "object == object",
    "object.kind + object.apiVersion",
    "object.metadata",
    "object.metadata.name",
    "object.metadata.labels['x']",
    "object.metadata.labels.x + object.metadata.name",
    "object.metadata.?labels[?'x'].hasValue()",
    "object.?metadata.?labels.?x.orValue('none')",
    "has(object.metadata.creationTimestamp)",
    "object.metadata.creationTimestamp",
    "has(object.metadata.managedFields)",
    "has(object.metadata.namespace)",
    "has(object.data) && has(object.data.k)",
    "object.data.all(k, object.data[k] == 'v')",
    "object.binaryData.b",
    "has(object.immutable)",
    "object.immutable",
    "object.nothing.at.all",
    "has(object.spec.replicas)",
    "object.spec.replicas",
    "object.spec.paused",
    "object.spec.template.spec.containers.size()",
    "object.spec.containers.map(object, object.image)",
    "object.spec.containers[0].resources.limits.cpu",
    "object.spec.hostNetwork && object.spec == object.spec",
    "has(object.spec.securityContext) && object.spec.securityContext == {}",
    "has(object.spec.serviceAccountName)",
    "has(object.status)",
    "object.metadata == object.metadata",
]


def outcome(program: cel.Program, obj: Any) -> tuple[Any, ...]:
    try:
        return program.evaluate({"object": obj})
    except cel.EvalError as error:
        return str(error), error.cost


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_the_same_value_at_the_same_cost(text: str) -> None:
    program = Compiler(False, variables=False).compile(text)
    wanted = project.parts([program], "object")
    for obj in OBJECTS:
        whole = json.to_plain(obj)
        part = whole if wanted is None else project.project(obj, wanted)
        assert outcome(program, part) == outcome(program, whole), obj


def test_what_several_programs_look_at() -> None:
    compiler = Compiler(False, variables=False)
    texts = ("object.spec.a.b", "object.spec.a", "object.spec.c.d", "object.spec.c.?e", "oldObject")
    programs = [compiler.compile(text) for text in texts]
    assert project.parts(programs, "object") == {
        "spec": {"a": None, "c": {"d": None, "e": None}},
    }  # fmt: skip
    assert project.parts(programs, "oldObject") is None
    assert project.parts(programs, "params") == {}

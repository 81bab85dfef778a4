"""The expressions of a ValidatingAdmissionPolicy are checked, and again when they change."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.controllers.contract import Case, Seen, Step
from tests.controllers.harness import World
from trireme.api.admissionregistration.v1.validatingadmissionpolicy_types import (
    ValidatingAdmissionPolicy,
)

RULE = {
    "operations": ["CREATE"],
    "apiGroups": ["apps"],
    "apiVersions": ["v1"],
    "resources": ["deployments"],
}


async def create(w: World) -> None:
    spec: dict[str, Any] = {
        "matchConstraints": {"resourceRules": [RULE]},
        "validations": [{"expression": "object.spec.replicaz < 3"}],
    }
    for name in ("a", "b"):
        made = {"metadata": {"name": name}, "spec": spec}
        await w.client.create(msgspec.convert(made, ValidatingAdmissionPolicy))
    await w.until(lambda: len(w.list(ValidatingAdmissionPolicy)) == 2)


async def correct(w: World) -> None:
    change = {"spec": {"validations": [{"expression": "object.spec.replicas < 3"}]}}
    for name in ("a", "b"):
        await w.client.patch(ValidatingAdmissionPolicy, name, None, change)


def checked(generation: int, warnings: int) -> Seen:
    def seen(w: World) -> bool:
        return all(
            item.status.observedGeneration == generation
            and len(item.status.typeChecking.expressionWarnings) == warnings
            for item in w.list(ValidatingAdmissionPolicy)
        )

    return seen


CASE = Case(
    name="policy-status",
    controller="validatingadmissionpolicy-status-controller",
    steps=(Step(act=create, done=checked(1, 1)), Step(act=correct, done=checked(2, 0))),
)

"""The status of ValidatingAdmissionPolicies: type errors of their expressions.

In: policies whose spec changed; discovery and the published OpenAPI documents of the kinds that
they match. Out: ``status.typeChecking`` and ``status.observedGeneration``. A kind without a
published schema is not checked. Decisions are in ``plan_type_check``. Run by ``manager``. Upstream:
pkg/controller/validatingadmissionpolicystatus; KEP-3488.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.api.admissionregistration.v1.validatingadmissionpolicy_types import (
    ExpressionWarning,
    ValidatingAdmissionPolicy,
)
from trireme.client import discovery
from trireme.client.codec import Unreadable
from trireme.controllers.definition import ControllerContext, Definition
from trireme.controllers.policies import plan_type_check
from trireme.controllers.policies.plan_type_check import Kind
from trireme.expr.cel import types as t
from trireme.expr.cel.types import Type
from trireme.machinery import errors
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key

MANAGER = "validatingadmissionpolicy-status"


class _Components(msgspec.Struct):
    schemas: dict[str, Any] = {}


class _Document(msgspec.Struct):
    components: _Components = msgspec.field(default_factory=_Components)


class PolicyStatus:
    """The executor."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._policies = context.informers.of(ValidatingAdmissionPolicy)
        unobserved = triggers.only(lambda event: _is_unobserved(event.object), triggers.own())
        self.loop = Controller(
            "validatingadmissionpolicy-status",
            self.reconcile,
            context.env,
            triggers=[(self._policies, unobserved)],
            workers=context.settings.workers.validatingadmissionpolicy_status,
        )

    async def reconcile(self, key: Key) -> None:
        """Check one policy and write what was found."""
        policy = self._policies.get(*key)
        if policy is None or not _is_unobserved(policy):
            return
        found = msgspec.to_builtins(await self._check(policy))
        desired = {
            "apiVersion": policy.apiVersion,
            "kind": policy.kind,
            # The uid: applying makes no object anew.
            "metadata": {"name": key.name, "uid": policy.metadata.uid},
            "status": {
                "observedGeneration": policy.metadata.generation,
                "typeChecking": {"expressionWarnings": found} if found else {},
            },
        }
        interface = self._client.of(ValidatingAdmissionPolicy)
        try:
            await interface.apply(key.name, "", desired, MANAGER, subresource="status")
        except errors.ApiError as error:
            if not errors.is_not_found(error):
                raise

    async def _check(self, policy: ValidatingAdmissionPolicy) -> list[ExpressionWarning]:
        served = await discovery.served(self._client, preferred=False)
        kinds = plan_type_check.compute_kinds(policy, served)
        param = plan_type_check.param_kind(policy)
        needed = {*kinds, param} - {None}
        types: dict[Kind | None, Type] = {}
        for path in {kind.document for kind in needed if kind is not None}:
            schemas = await self._schemas(path)
            for kind in needed:
                if kind is not None and kind.document == path:
                    type_ = plan_type_check.compute_type(kind, schemas)
                    if type_ is not None:
                        types[kind] = type_
        known = {kind: types[kind] for kind in kinds if kind in types}
        return plan_type_check.check(policy, known, types.get(param, t.DYN))

    async def _schemas(self, path: str) -> dict[str, Any]:
        try:
            response = await self._client.raw("GET", path)
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return {}
            raise
        try:
            return msgspec.json.decode(response.body, type=_Document).components.schemas
        except msgspec.DecodeError as problem:
            raise Unreadable(f"{path}: {problem}") from None


def _is_unobserved(policy: ValidatingAdmissionPolicy) -> bool:
    return policy.metadata.generation > policy.status.observedGeneration


def make(context: ControllerContext) -> Controller:
    """The control loop."""
    return PolicyStatus(context).loop


CONTROLLER = Definition("validatingadmissionpolicy-status-controller", make)

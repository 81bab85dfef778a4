"""Types of prioritylevelconfiguration: see the API reference, flowcontrol/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.api.flowcontrol.v1.conditions import PriorityLevelConfigurationCondition
from trireme.machinery import meta
from trireme.machinery.types import (
    Default,
    Int32,
    Merge,
    Required,
    Struct,
    always,
    constant,
    listmap,
    null,
)


class ExemptPriorityLevelConfiguration(Struct):
    nominalConcurrencyShares: Annotated[Int32 | None, Default(0)] = None
    lendablePercent: Annotated[Int32 | None, Default(0)] = None


class QueuingConfiguration(Struct):
    queues: Annotated[Int32, Default(64)] = always(int)
    handSize: Annotated[Int32, Default(8)] = always(int)
    queueLengthLimit: Annotated[Int32, Default(50)] = always(int)


class LimitResponse(Struct):
    type: Annotated[str, Required()] = always(str)
    queuing: QueuingConfiguration | None = None


class LimitedPriorityLevelConfiguration(Struct):
    nominalConcurrencyShares: Annotated[Int32 | None, Default(30)] = null()
    limitResponse: LimitResponse = always(LimitResponse)
    lendablePercent: Annotated[Int32 | None, Default(0)] = None
    borrowingLimitPercent: Int32 | None = None


class PriorityLevelConfigurationSpec(Struct):
    type: Annotated[str, Required()] = always(str)
    limited: LimitedPriorityLevelConfiguration | None = None
    exempt: ExemptPriorityLevelConfiguration | None = None


class PriorityLevelConfigurationStatus(Struct):
    conditions: Annotated[
        list[PriorityLevelConfigurationCondition], listmap("type"), Merge("type")
    ] = []


class PriorityLevelConfiguration(Struct):
    kind: str = constant("PriorityLevelConfiguration")
    apiVersion: str = constant("flowcontrol.apiserver.k8s.io/v1")
    metadata: meta.ObjectMeta = always(meta.ObjectMeta)
    spec: PriorityLevelConfigurationSpec = always(PriorityLevelConfigurationSpec)
    status: PriorityLevelConfigurationStatus = always(PriorityLevelConfigurationStatus)

"""The mandatory flow schemas and priority levels, which cannot be changed.

Out: specs by name. Called by: the rules of both kinds, and the API server's bootstrap. Upstream:
apiserver ``apis/flowcontrol/bootstrap``.
"""

from __future__ import annotations

from typing import Final

from trireme.api.flowcontrol.v1 import flowschema_types as flows
from trireme.api.flowcontrol.v1 import prioritylevel_types as levels

EXEMPT: Final = "exempt"
CATCH_ALL: Final = "catch-all"


def all_requests(*groups: str) -> flows.PolicyRulesWithSubjects:
    """All requests of some groups."""
    return flows.PolicyRulesWithSubjects(
        subjects=[
            flows.Subject(kind="Group", group=flows.GroupSubject(name=name)) for name in groups
        ],
        resourceRules=[
            flows.ResourcePolicyRule(
                verbs=["*"], apiGroups=["*"], resources=["*"], namespaces=["*"], clusterScope=True
            )
        ],
        nonResourceRules=[flows.NonResourcePolicyRule(verbs=["*"], nonResourceURLs=["*"])],
    )


FLOW_SCHEMAS: Final = {
    EXEMPT: flows.FlowSchemaSpec(
        priorityLevelConfiguration=flows.PriorityLevelConfigurationReference(name=EXEMPT),
        matchingPrecedence=1,
        rules=[all_requests("system:masters")],
    ),
    CATCH_ALL: flows.FlowSchemaSpec(
        priorityLevelConfiguration=flows.PriorityLevelConfigurationReference(name=CATCH_ALL),
        matchingPrecedence=10000,
        distinguisherMethod=flows.FlowDistinguisherMethod(type="ByUser"),
        rules=[all_requests("system:unauthenticated", "system:authenticated")],
    ),
}

PRIORITY_LEVELS: Final = {
    EXEMPT: levels.PriorityLevelConfigurationSpec(
        type="Exempt",
        exempt=levels.ExemptPriorityLevelConfiguration(
            nominalConcurrencyShares=0, lendablePercent=0
        ),
    ),
    CATCH_ALL: levels.PriorityLevelConfigurationSpec(
        type="Limited",
        limited=levels.LimitedPriorityLevelConfiguration(
            nominalConcurrencyShares=5,
            lendablePercent=0,
            limitResponse=levels.LimitResponse(type="Reject"),
        ),
    ),
}

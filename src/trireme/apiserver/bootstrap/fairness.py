"""The flow schemas and priority levels that a cluster begins with. Pure.

Out: fresh objects. Called by ``run``. Two of each are mandatory; the others
are suggested, and users may exclude them from automatic updates by an annotation. Upstream:
apiserver ``apis/flowcontrol/bootstrap``, pkg/registry/flowcontrol/ensurer.

The text below has, for each level: shares, percent to lend, queues, hand size. For each schema:
its level, precedence and, where it has one, what tells its flows apart; then, indented, whom it is
about and which of their requests: all (``everything``), or as in the bootstrap policy; ``wide``
rules are about objects outside namespaces as well.
"""

from __future__ import annotations

import copy

from trireme.api.flowcontrol.v1 import mandatory
from trireme.api.flowcontrol.v1 import prioritylevel_types as levels
from trireme.api.flowcontrol.v1.flowschema_types import (
    FlowDistinguisherMethod,
    FlowSchema,
    FlowSchemaSpec,
    GroupSubject,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    PriorityLevelConfigurationReference,
    ResourcePolicyRule,
    ServiceAccountSubject,
    Subject,
    UserSubject,
)
from trireme.apiserver.bootstrap import notation
from trireme.machinery.meta import ObjectMeta

AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"
_QUEUE_LENGTH = 50
# What upstream takes for a truth value.
_TRUTH = dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "false", "FALSE", "False"), False
)
_LEVELS = """
system 30 33 64 6
node-high 40 25 64 6
leader-election 10 0 16 4
workload-high 40 50 128 6
workload-low 100 90 128 6
global-default 20 50 128 6
"""
_SCHEMAS = """
system-nodes system 500 ByUser
  group system:nodes
  everything
system-node-high node-high 400 ByUser
  group system:nodes
  wide core: nodes nodes/status = *
  coordination.k8s.io: leases = *
probes exempt 2
  group system:unauthenticated
  group system:authenticated
  urls /healthz /readyz /livez = get
system-leader-election leader-election 100 ByUser
  user system:kube-controller-manager
  user system:kube-scheduler
  account kube-system/*
  coordination.k8s.io: leases = get create update
kube-controller-manager workload-high 800 ByNamespace
  user system:kube-controller-manager
  everything
kube-scheduler workload-high 800 ByNamespace
  user system:kube-scheduler
  everything
kube-system-service-accounts workload-high 900 ByNamespace
  account kube-system/*
  everything
service-accounts workload-low 9000 ByUser
  group system:serviceaccounts
  everything
global-default global-default 9900 ByUser
  group system:unauthenticated
  group system:authenticated
  everything
"""


Configuration = FlowSchema | levels.PriorityLevelConfiguration


def priority_levels() -> list[levels.PriorityLevelConfiguration]:
    """Suggested levels, then the mandatory ones."""
    found = [
        levels.PriorityLevelConfiguration(metadata=_meta(name), spec=_level(*map(int, numbers)))
        for name, *numbers in (line.split() for line in _LEVELS.strip().split("\n"))
    ]
    for name, spec in mandatory.PRIORITY_LEVELS.items():
        whole = levels.PriorityLevelConfiguration(metadata=_meta(name), spec=copy.deepcopy(spec))
        found.append(whole)
    return found


def flow_schemas() -> list[FlowSchema]:
    """Suggested schemas, then the mandatory ones."""
    found = [
        FlowSchema(metadata=_meta(head.split()[0]), spec=_schema(head.split(), lines))
        for head, lines in notation.blocks(_SCHEMAS)
    ]
    for name, spec in mandatory.FLOW_SCHEMAS.items():
        found.append(FlowSchema(metadata=_meta(name), spec=copy.deepcopy(spec)))
    return found


def updated(stored: Configuration, desired: Configuration) -> Configuration | None:
    """``stored`` with the desired spec, unless people took it over; None where nothing changes.

    The mandatory ones follow always; of the exempt level people may set the shares.
    """
    name, notes = desired.metadata.name, stored.metadata.annotations
    autoupdate = _TRUTH.get(notes.get(AUTOUPDATE, ""))
    auto_updates = stored.metadata.generation == 1 if autoupdate is None else autoupdate
    auto_updates = auto_updates or name in mandatory.FLOW_SCHEMAS
    if isinstance(stored, levels.PriorityLevelConfiguration) and name == mandatory.EXEMPT:
        shares = stored.spec.exempt
        if shares is not None and isinstance(desired, levels.PriorityLevelConfiguration):
            desired.spec.exempt = shares
    changed = autoupdate is not auto_updates
    if changed:
        notes[AUTOUPDATE] = "true" if auto_updates else "false"
    if auto_updates and stored.spec != desired.spec:
        stored.spec = desired.spec
        changed = True
    return stored if changed else None


def is_undesired(stored: Configuration, names: frozenset[str]) -> bool:
    """Whether an object that follows by itself is none of those that a cluster begins with."""
    auto_updates = _TRUTH.get(stored.metadata.annotations.get(AUTOUPDATE, ""), False)
    return auto_updates and stored.metadata.name not in names


def _meta(name: str) -> ObjectMeta:
    return ObjectMeta(name=name, annotations={AUTOUPDATE: "true"})


def _level(shares: int, lent: int, queues: int, hand: int) -> levels.PriorityLevelConfigurationSpec:
    queuing = levels.QueuingConfiguration(
        queues=queues, handSize=hand, queueLengthLimit=_QUEUE_LENGTH
    )
    return levels.PriorityLevelConfigurationSpec(
        type="Limited",
        limited=levels.LimitedPriorityLevelConfiguration(
            nominalConcurrencyShares=shares,
            lendablePercent=lent,
            limitResponse=levels.LimitResponse(type="Queue", queuing=queuing),
        ),
    )


def _schema(head: list[str], lines: list[str]) -> FlowSchemaSpec:
    _, level, precedence, *method = head
    policy = PolicyRulesWithSubjects(subjects=[])
    for line in lines:
        _read(policy, line)
    return FlowSchemaSpec(
        priorityLevelConfiguration=PriorityLevelConfigurationReference(name=level),
        matchingPrecedence=int(precedence),
        distinguisherMethod=FlowDistinguisherMethod(type=method[0]) if method else None,
        rules=[policy],
    )


def _read(policy: PolicyRulesWithSubjects, line: str) -> None:
    word, _, rest = line.partition(" ")
    assert policy.subjects is not None
    if word == "everything":
        whole = mandatory.all_requests()
        policy.resourceRules, policy.nonResourceRules = whole.resourceRules, whole.nonResourceRules
    elif word == "user":
        policy.subjects.append(Subject(kind="User", user=UserSubject(name=rest)))
    elif word == "group":
        policy.subjects.append(Subject(kind="Group", group=GroupSubject(name=rest)))
    elif word == "account":
        namespace, _, name = rest.partition("/")
        account = ServiceAccountSubject(namespace=namespace, name=name)
        policy.subjects.append(Subject(kind="ServiceAccount", serviceAccount=account))
    else:
        wide = word == "wide"
        rule = notation.rule(rest if wide else line)
        if rule.nonResourceURLs:
            urls = NonResourcePolicyRule(verbs=rule.verbs, nonResourceURLs=rule.nonResourceURLs)
            policy.nonResourceRules.append(urls)
            return
        policy.resourceRules.append(
            ResourcePolicyRule(
                verbs=rule.verbs,
                apiGroups=rule.apiGroups,
                resources=rule.resources,
                namespaces=["*"],
                clusterScope=wide,
            )
        )

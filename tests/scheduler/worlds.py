"""Random nodes and pods, small enough that they get in each other's way."""

from __future__ import annotations

from hypothesis import strategies as st

from trireme.api.core.v1.node_types import Node, NodeSpec, NodeStatus
from trireme.api.core.v1.pod.container import Container, ContainerPort
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.resources import ResourceRequirements
from trireme.api.core.v1.pod.scheduling import (
    Affinity,
    NodeAffinity,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    PreferredSchedulingTerm,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from trireme.api.core.v1.pod.spec import PodSpec
from trireme.api.core.v1.selection import (
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Taint,
    Toleration,
)
from trireme.machinery.meta import LabelSelector, LabelSelectorRequirement, ObjectMeta

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
KEYS = st.sampled_from([HOST, ZONE, "rack"])
NAMES = [f"n{number}" for number in range(6)]
SPACES = {"a": {"team": "x"}, "b": {"team": "y"}, "c": {}}


def some(values, most=2, least=0):
    return st.lists(values, min_size=least, max_size=most)


def often_none(strategy):
    return st.one_of(st.none(), st.none(), strategy)


effects = st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"])
taints = st.builds(
    Taint, key=st.sampled_from("st"), value=st.sampled_from(["", "1"]), effect=effects
)
tolerations = st.one_of(
    st.builds(
        Toleration,
        key=st.sampled_from("st"),
        operator=st.sampled_from(["", "Equal"]),
        value=st.sampled_from(["", "1"]),
        effect=st.one_of(st.just(""), effects),
    ),
    st.builds(
        Toleration,
        key=st.sampled_from(["", "s", "node.kubernetes.io/unschedulable"]),
        operator=st.just("Exists"),
        effect=st.one_of(st.just(""), effects),
    ),
)


_tainted = st.one_of(st.just([]), some(taints))

# What a world is about; in all but the first everything else is out of the way, so that pods get
# as far as being scored.
FOCUS = ["everything", "room", "spread", "pods", "nodes"]


@st.composite
def nodes(draw, focus):
    least = 0 if focus == "everything" else 4
    expected = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=least, max_size=6))
    return [draw(node(name, focus)) for name in expected]


@st.composite
def node(draw, name, focus="everything"):
    labelled = {}
    if draw(st.integers(0, 5)):
        labelled[HOST] = name
    if draw(st.integers(0, 4)):
        labelled[ZONE] = draw(st.sampled_from(["z1", "z2", "z3"]))
    if draw(st.booleans()):
        labelled["rack"] = draw(st.sampled_from(["1", "2", "10", "x"]))
    if focus in ("spread", "pods", "nodes"):
        room = {"pods": "110", "cpu": "64", "memory": "64Gi"}
        return Node(
            metadata=ObjectMeta(name=name, labels=labelled),
            status=NodeStatus(allocatable=room, capacity=room),
        )
    room = {"pods": draw(st.sampled_from(["1", "3", "10", "10"]))}
    for resource, amounts in (
        ("cpu", ["1", "2", "3333m"]),
        ("memory", ["1Gi", "2Gi", "1500M"]),
        ("example.com/gpu", ["1", "2"]),
    ):
        if draw(st.integers(0, 4)):
            room[resource] = draw(st.sampled_from(amounts))
    return Node(
        metadata=ObjectMeta(name=name, labels=labelled),
        spec=NodeSpec(
            unschedulable=focus == "everything" and not draw(st.integers(0, 3)),
            taints=draw(_tainted) if focus == "everything" else [],
        ),
        status=NodeStatus(allocatable=room, capacity=room),
    )


requirements = st.one_of(
    st.builds(
        NodeSelectorRequirement,
        key=KEYS,
        operator=st.sampled_from(["In", "NotIn"]),
        values=st.lists(
            st.sampled_from(["z1", "z2", "1", "10", "n1", "?"]), min_size=1, max_size=2
        ),
    ),
    st.builds(
        NodeSelectorRequirement, key=KEYS, operator=st.sampled_from(["Exists", "DoesNotExist"])
    ),
    st.builds(
        NodeSelectorRequirement,
        key=st.just("rack"),
        operator=st.sampled_from(["Gt", "Lt"]),
        values=st.sampled_from([["1"], ["5"], ["10"]]),
    ),
)
by_name = st.builds(
    NodeSelectorRequirement,
    key=st.just("metadata.name"),
    operator=st.sampled_from(["In", "NotIn"]),
    values=st.sampled_from([["n0"], ["n1"]]),
)
node_terms = st.builds(
    NodeSelectorTerm, matchExpressions=some(requirements), matchFields=some(by_name, 1)
)
node_affinities = st.builds(
    NodeAffinity,
    requiredDuringSchedulingIgnoredDuringExecution=often_none(
        st.builds(NodeSelector, nodeSelectorTerms=st.lists(node_terms, min_size=1, max_size=2))
    ),
    preferredDuringSchedulingIgnoredDuringExecution=some(
        st.builds(PreferredSchedulingTerm, weight=st.integers(1, 7), preference=node_terms),
        most=3,
        least=1,
    ),
)
selectors = st.one_of(
    st.none(),
    st.builds(LabelSelector),
    st.builds(LabelSelector, matchLabels=st.sampled_from([{"app": "x"}, {"app": "y"}])),
    st.builds(
        LabelSelector,
        matchExpressions=st.just(
            [LabelSelectorRequirement(key="tier", operator="NotIn", values=["1"])]
        ),
    ),
)
pod_terms = st.builds(
    PodAffinityTerm,
    labelSelector=selectors,
    topologyKey=KEYS,
    namespaces=st.sampled_from([[], [], ["b"]]),
    namespaceSelector=often_none(
        st.builds(LabelSelector, matchLabels=st.sampled_from([{}, {"team": "x"}]))
    ),
)
weighted = st.builds(WeightedPodAffinityTerm, weight=st.integers(1, 9), podAffinityTerm=pod_terms)


def sides(kind):
    return st.builds(
        kind,
        requiredDuringSchedulingIgnoredDuringExecution=some(pod_terms),
        preferredDuringSchedulingIgnoredDuringExecution=some(weighted),
    )


affinities = st.builds(
    Affinity,
    nodeAffinity=often_none(node_affinities),
    podAffinity=often_none(sides(PodAffinity)),
    podAntiAffinity=often_none(sides(PodAntiAffinity)),
)
spreads = st.builds(
    TopologySpreadConstraint,
    maxSkew=st.integers(1, 3),
    topologyKey=KEYS,
    whenUnsatisfiable=st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
    labelSelector=selectors,
    minDomains=st.sampled_from([None, 1, 3]),
    nodeAffinityPolicy=st.sampled_from([None, "Ignore", "Honor"]),
    nodeTaintsPolicy=st.sampled_from([None, "Ignore", "Honor"]),
    matchLabelKeys=st.sampled_from([[], ["tier"]]),
)
ports = st.builds(
    ContainerPort,
    containerPort=st.just(80),
    hostPort=st.sampled_from([80, 81]),
    hostIP=st.sampled_from(["", "10.0.0.1", "10.0.0.2"]),
    protocol=st.sampled_from(["TCP", "UDP"]),
)
amounts = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.sampled_from(["0", "100m", "250m", "1", "4"]),
        "memory": st.sampled_from(["64Mi", "300M", "1Gi"]),
        "example.com/gpu": st.just("1"),
    },
)


def containers(restart=""):
    return st.builds(
        Container,
        name=st.just("c"),
        resources=st.builds(ResourceRequirements, requests=amounts),
        ports=st.one_of(st.just([]), st.just([]), some(ports)),
        restartPolicy=st.just(restart or None),
    )


# Made once: to make a strategy costs more than to draw from it.
_several = st.lists(containers(), min_size=1, max_size=2)
_before = st.one_of(st.just([]), some(st.one_of(containers(), containers("Always"))))
_near = st.one_of(st.none(), sides(PodAffinity))
_apart = st.one_of(st.none(), sides(PodAntiAffinity))
_any_affinity = often_none(affinities)
_tolerated = some(tolerations)
_spread = some(spreads)
_zone = st.sampled_from([{}, {}, {}, {ZONE: "z1"}])
_overhead = st.sampled_from([{}, {}, {"cpu": "10m"}])
_labels = st.sampled_from([{}, {"app": "x"}, {"app": "x", "tier": "1"}, {"app": "y", "tier": "2"}])


@st.composite
def pods(draw, uid, focus="everything"):
    def about(kind, strategy, otherwise):
        """Drawn where the world is about it."""
        return draw(strategy) if focus in ("everything", kind) else otherwise

    metadata = ObjectMeta(
        name=uid,
        uid=uid,
        namespace=draw(st.sampled_from(["a", "a", "b", "c"])),
        labels=dict(draw(_labels)),
    )
    if not draw(st.integers(0, 9)):
        metadata.deletionTimestamp = "2030-01-01T00:00:00Z"
    affinity = None
    if focus == "everything":
        affinity = draw(_any_affinity)
    elif focus == "pods":
        affinity = Affinity(
            podAffinity=draw(_near),
            podAntiAffinity=draw(_apart),
        )
    elif focus == "nodes":
        affinity = Affinity(nodeAffinity=draw(node_affinities))
    light = Container(name="c", resources=ResourceRequirements(requests={"cpu": "1m"}))
    spec = PodSpec(
        containers=about("room", _several, [light]),
        initContainers=about("room", _before, []),
        nodeSelector=about("nodes", _zone, {}),
        tolerations=about("taints", _tolerated, []),
        affinity=affinity,
        topologySpreadConstraints=about("spread", _spread, []),
        overhead=about("room", _overhead, {}),
    )
    if focus == "everything" and not draw(st.integers(0, 9)):
        spec.nodeName = draw(st.sampled_from(NAMES))
    return Pod(metadata=metadata, spec=spec)

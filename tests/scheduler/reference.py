"""A slow, obvious scheduler: one node after the other, one pod after the other, plain numbers.

Its answers are what the columns must give. Nothing of the scheduler's own code is used but the
types of the API, quantities and label selectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.pod.scheduling import PodAffinityTerm, TopologySpreadConstraint
from trireme.api.core.v1.selection import NodeSelectorRequirement, NodeSelectorTerm, Taint
from trireme.machinery import labels, quantity

MEBI = 1024 * 1024


@dataclass
class World:
    nodes: list[Node]
    pods: list[tuple[Pod, str]] = field(default_factory=list)
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    selectors: labels.Selector | None = None

    def on(self, node: Node) -> list[Pod]:
        return [pod for pod, name in self.pods if name == node.metadata.name]

    def placed(self) -> list[tuple[Pod, Node]]:
        by_name = {node.metadata.name: node for node in self.nodes}
        return [(pod, by_name[name]) for pod, name in self.pods if name in by_name]


def number(name: str, text: str) -> int:
    parsed = quantity.parse(text)
    return parsed.milli_value() if name == "cpu" else parsed.value()


def request(pod: Pod, name: str, missing: int = 0) -> int:
    def asked(container) -> int:
        text = container.resources.requests.get(name)
        return missing if text is None else number(name, text)

    running = sum(asked(item) for item in pod.spec.containers)
    sidecars = 0
    peak = 0
    for item in pod.spec.initContainers:
        if item.restartPolicy == "Always":
            sidecars += asked(item)
            peak = max(peak, sidecars)
        else:
            peak = max(peak, sidecars + asked(item))
    total = max(running + sidecars, peak)
    if pod.spec.resources is not None and name in pod.spec.resources.requests:
        total = number(name, pod.spec.resources.requests[name])
    return total + number(name, pod.spec.overhead.get(name, "0"))


def resources(pod: Pod) -> set[str]:
    names = set(pod.spec.overhead)
    for item in (*pod.spec.containers, *pod.spec.initContainers):
        names |= set(item.resources.requests)
    if pod.spec.resources is not None:
        names |= set(pod.spec.resources.requests)
    return names


def has(node: Node, name: str) -> int:
    return number(name, node.status.allocatable.get(name, "0"))


def tolerates(pod: Pod, taint: Taint) -> bool:
    for item in pod.spec.tolerations:
        if item.effect not in ("", taint.effect) or item.key not in ("", taint.key):
            continue
        if item.operator == "Exists" or (item.key and item.value == taint.value):
            return True
    return False


def untolerated(pod: Pod, node: Node, *effects: str) -> list[Taint]:
    return [t for t in node.spec.taints if t.effect in effects and not tolerates(pod, t)]


def requirement_holds(item: NodeSelectorRequirement, text: str | None) -> bool:
    match item.operator:
        case "Exists":
            return text is not None
        case "DoesNotExist":
            return text is None
        case "In":
            return text is not None and text in item.values
        case "NotIn":
            return text is None or text not in item.values
        case "Gt" | "Lt":
            try:
                value, bound = int(text or ""), int(item.values[0])
            except ValueError:
                return False
            return value > bound if item.operator == "Gt" else value < bound
    raise AssertionError(item.operator)


def term_holds(term: NodeSelectorTerm, node: Node) -> bool:
    if not term.matchExpressions and not term.matchFields:
        return False
    return all(
        requirement_holds(item, node.metadata.labels.get(item.key))
        for item in term.matchExpressions
    ) and all(requirement_holds(item, node.metadata.name) for item in term.matchFields)


def node_affinity(pod: Pod, node: Node) -> bool:
    for key, value in pod.spec.nodeSelector.items():
        if node.metadata.labels.get(key) != value:
            return False
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity else None
    required = affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity else None
    return required is None or any(term_holds(term, node) for term in required.nodeSelectorTerms)


def host_ports(pod: Pod) -> list[tuple[str, str, int]]:
    sidecars = [item for item in pod.spec.initContainers if item.restartPolicy == "Always"]
    return [
        (port.protocol or "TCP", port.hostIP or "0.0.0.0", port.hostPort)
        for item in (*pod.spec.containers, *sidecars)
        for port in item.ports
        if port.hostPort
    ]


def spread_selector(pod: Pod, item: TopologySpreadConstraint) -> labels.Selector:
    selector = labels.from_struct(item.labelSelector)
    for key in item.matchLabelKeys:
        if key in pod.metadata.labels:
            selector = selector.add(labels.requirement(key, "in", (pod.metadata.labels[key],)))
    return selector


def counted(pods: list[Pod], selector: labels.Selector, namespace: str) -> int:
    if selector.empty():
        return 0
    return sum(
        pod.metadata.namespace == namespace
        and pod.metadata.deletionTimestamp is None
        and selector.matches(pod.metadata.labels)
        for pod in pods
    )


def included(item: TopologySpreadConstraint, pod: Pod, node: Node) -> bool:
    if item.nodeAffinityPolicy != "Ignore" and not node_affinity(pod, node):
        return False
    return item.nodeTaintsPolicy != "Honor" or not untolerated(pod, node, "NoSchedule", "NoExecute")


def term_means(world: World, owner: Pod, term: PodAffinityTerm, pod: Pod) -> bool:
    names = set(term.namespaces)
    if not names and term.namespaceSelector is None:
        names = {owner.metadata.namespace}
    space = pod.metadata.namespace
    inside = space in names
    if not inside and term.namespaceSelector is not None:
        selected = labels.from_struct(term.namespaceSelector)
        inside = selected.matches(world.namespaces.get(space, {}))
    return inside and labels.from_struct(term.labelSelector).matches(pod.metadata.labels)


def pod_terms(pod: Pod, anti: bool) -> tuple[list, list]:
    affinity = pod.spec.affinity
    side = None
    if affinity is not None:
        side = affinity.podAntiAffinity if anti else affinity.podAffinity
    if side is None:
        return [], []
    return (
        side.requiredDuringSchedulingIgnoredDuringExecution,
        side.preferredDuringSchedulingIgnoredDuringExecution,
    )


def same_domain(key: str, one: Node, other: Node) -> bool:
    value = one.metadata.labels.get(key)
    return value is not None and value == other.metadata.labels.get(key)


def status(world: World, pod: Pod, node: Node) -> tuple[str, list[str], bool] | None:
    """The plugin that refuses first, its reasons, and whether no preemption helps."""
    cordon = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
    if node.spec.unschedulable and not tolerates(pod, cordon):
        return "NodeUnschedulable", ["node(s) were unschedulable"], True
    if pod.spec.nodeName and pod.spec.nodeName != node.metadata.name:
        return "NodeName", ["node(s) didn't match the requested node name"], True
    if untolerated(pod, node, "NoSchedule", "NoExecute"):
        return "TaintToleration", ["node(s) had untolerated taint(s)"], True
    if not node_affinity(pod, node):
        return "NodeAffinity", ["node(s) didn't match Pod's node affinity/selector"], True
    for protocol, address, port in host_ports(pod):
        for other in world.on(node):
            for theirs in host_ports(other):
                alike = "0.0.0.0" in (address, theirs[1]) or address == theirs[1]
                if (theirs[0], theirs[2]) == (protocol, port) and alike:
                    text = "node(s) didn't have free ports for the requested pod ports"
                    return "NodePorts", [text], False
    missing = fit(world, pod, node)
    if missing is not None:
        return missing
    return spread_refusal(world, pod, node) or affinity_refusal(world, pod, node)


def fit(world: World, pod: Pod, node: Node) -> tuple[str, list[str], bool] | None:
    reasons, unresolvable = [], False
    if len(world.on(node)) + 1 > has(node, "pods"):
        reasons.append("Too many pods")
    for name in resources(pod):
        requested = request(pod, name)
        used = sum(request(other, name) for other in world.on(node))
        if requested and requested > has(node, name) - used:
            reasons.append(f"Insufficient {name}")
            unresolvable = unresolvable or requested > has(node, name)
    return ("NodeResourcesFit", reasons, unresolvable) if reasons else None


def spread_refusal(world: World, pod: Pod, node: Node) -> tuple[str, list[str], bool] | None:
    text = "node(s) didn't match pod topology spread constraints"
    hard = [
        item
        for item in pod.spec.topologySpreadConstraints
        if item.whenUnsatisfiable == "DoNotSchedule"
    ]
    for item in hard:
        value = node.metadata.labels.get(item.topologyKey)
        if value is None:
            return "PodTopologySpread", [f"{text} (missing required label)"], True
        selector = spread_selector(pod, item)
        sums: dict[str, int] = {}
        for other in world.nodes:
            if all(c.topologyKey in other.metadata.labels for c in hard) and included(
                item, pod, other
            ):
                domain = other.metadata.labels[item.topologyKey]
                pods = counted(world.on(other), selector, pod.metadata.namespace)
                sums[domain] = sums.get(domain, 0) + pods
        least = min(sums.values(), default=0)
        if len(sums) < (item.minDomains or 1):
            least = 0
        own = int(selector.matches(pod.metadata.labels))
        if sums.get(value, 0) + own - least > item.maxSkew:
            return "PodTopologySpread", [text], False
    return None


def affinity_refusal(world: World, pod: Pod, node: Node) -> tuple[str, list[str], bool] | None:
    near, _ = pod_terms(pod, anti=False)
    hosts = [
        place
        for other, place in world.placed()
        if near and all(term_means(world, pod, term, other) for term in near)
    ]
    if near:
        keyed = all(term.topologyKey in node.metadata.labels for term in near)
        met = keyed and all(
            any(same_domain(term.topologyKey, node, host) for host in hosts) for term in near
        )
        nobody = not any(
            term.topologyKey in host.metadata.labels for host in hosts for term in near
        )
        first = nobody and all(term_means(world, pod, term, pod) for term in near)
        if not (met or (keyed and first)):
            return "InterPodAffinity", ["node(s) didn't match pod affinity rules"], True
    for term in pod_terms(pod, anti=True)[0]:
        for other, place in world.placed():
            if same_domain(term.topologyKey, node, place) and term_means(world, pod, term, other):
                return "InterPodAffinity", ["node(s) didn't match pod anti-affinity rules"], False
    for other, place in world.placed():
        for term in pod_terms(other, anti=True)[0]:
            if same_domain(term.topologyKey, node, place) and term_means(world, other, term, pod):
                text = "node(s) didn't satisfy existing pods anti-affinity rules"
                return "InterPodAffinity", [text], False
    return None


# Scores, each for the feasible nodes only.


def totals(world: World, pod: Pod, nodes: list[Node]) -> dict[str, int]:
    weighted = (
        (3, taint_scores(pod, nodes)),
        (2, affinity_scores(pod, nodes)),
        (1, [least_allocated(world, pod, node) for node in nodes]),
        (2, spread_scores(world, pod, nodes)),
        (2, pod_affinity_scores(world, pod, nodes)),
        (1, [balanced(world, pod, node) for node in nodes]),
    )
    return {
        node.metadata.name: sum(weight * scores[place] for weight, scores in weighted)
        for place, node in enumerate(nodes)
    }


def scaled(raw: list[int], reverse: bool = False) -> list[int]:
    most = max(raw)
    if most == 0:
        return [100 if reverse else 0] * len(raw)
    return [100 - 100 * one // most if reverse else 100 * one // most for one in raw]


def taint_scores(pod: Pod, nodes: list[Node]) -> list[int]:
    return scaled([len(untolerated(pod, node, "PreferNoSchedule")) for node in nodes], True)


def affinity_scores(pod: Pod, nodes: list[Node]) -> list[int]:
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity else None
    preferred = affinity.preferredDuringSchedulingIgnoredDuringExecution if affinity else []
    return scaled(
        [sum(t.weight for t in preferred if term_holds(t.preference, node)) for node in nodes]
    )


def least_allocated(world: World, pod: Pod, node: Node) -> int:
    scores = []
    for name, missing in (("cpu", 100), ("memory", 200 * MEBI)):
        total = has(node, name)
        if total:
            pods = [*world.on(node), pod]
            requested = sum(request(one, name, missing) for one in pods)
            scores.append(0 if requested > total else (total - requested) * 100 // total)
    return sum(scores) // len(scores) if scores else 0


def balanced(world: World, pod: Pod, node: Node) -> int:
    if not request(pod, "cpu") and not request(pod, "memory"):
        return 0

    def balance(pods: list[Pod]) -> int:
        parts = [
            min(1.0, sum(request(one, name) for one in pods) / has(node, name))
            for name in ("cpu", "memory")
            if has(node, name)
        ]
        spread = abs((parts[0] - parts[1]) / 2) if len(parts) == 2 else 0.0
        return int((1 - spread) * 100)

    here = world.on(node)
    return 50 + (50 + balance([*here, pod]) - balance(here)) // 2


def spread_scores(world: World, pod: Pod, nodes: list[Node]) -> list[int]:
    own = pod.spec.topologySpreadConstraints
    if own:
        soft = [item for item in own if item.whenUnsatisfiable == "ScheduleAnyway"]
        selectors = [spread_selector(pod, item) for item in soft]
    elif world.selectors is not None and not world.selectors.empty():
        soft = [
            TopologySpreadConstraint(maxSkew=skew, topologyKey=key)
            for key, skew in (("kubernetes.io/hostname", 3), ("topology.kubernetes.io/zone", 5))
        ]
        selectors = [world.selectors] * 2
    else:
        return [0] * len(nodes)
    if not soft:
        return [0] * len(nodes)

    def keyed(node: Node) -> bool:
        return not own or all(item.topologyKey in node.metadata.labels for item in soft)

    scored = [node for node in nodes if keyed(node)]
    raw: dict[str, float] = {node.metadata.name: 0.0 for node in scored}
    for item, selector in zip(soft, selectors, strict=True):
        host = item.topologyKey == "kubernetes.io/hostname"
        size = len(
            scored if host else {node.metadata.labels.get(item.topologyKey) for node in scored}
        )
        for node in scored:
            value = node.metadata.labels.get(item.topologyKey)
            if value is None:
                continue
            pods = counted(world.on(node), selector, pod.metadata.namespace)
            if not host:
                pods = sum(
                    counted(world.on(other), selector, pod.metadata.namespace)
                    for other in world.nodes
                    if other.metadata.labels.get(item.topologyKey) == value
                    and keyed(other)
                    and included(item, pod, other)
                )
            raw[node.metadata.name] += pods * math.log(size + 2) + (item.maxSkew - 1)
    scores = {name: math.floor(value + 0.5) for name, value in raw.items()}
    most, least = max(scores.values(), default=0), min(scores.values(), default=0)
    return [
        0
        if node.metadata.name not in scores
        else 100
        if most == 0
        else 100 * (most + least - scores[node.metadata.name]) // most
        for node in nodes
    ]


def pod_affinity_scores(world: World, pod: Pod, nodes: list[Node]) -> list[int]:
    raw = [0] * len(nodes)
    for other, place in world.placed():
        terms: list[tuple[str, int]] = []
        for anti, sign in ((False, 1), (True, -1)):
            required, preferred = pod_terms(other, anti)
            terms += [
                (t.podAffinityTerm.topologyKey, sign * t.weight)
                for t in preferred
                if term_means(world, other, t.podAffinityTerm, pod)
            ]
            if not anti:
                terms += [(t.topologyKey, 1) for t in required if term_means(world, other, t, pod)]
            terms += [
                (t.podAffinityTerm.topologyKey, sign * t.weight)
                for t in pod_terms(pod, anti)[1]
                if term_means(world, pod, t.podAffinityTerm, other)
            ]
        for key, weight in terms:
            for number_, node in enumerate(nodes):
                if same_domain(key, node, place):
                    raw[number_] += weight
    most, least = max(raw), min(raw)
    if most == least:
        return [0] * len(nodes)
    return [int(100.0 * (float(one - least) / float(most - least))) for one in raw]


__all__ = ["World", "status", "totals"]

"""Where a pod may run: node selectors, affinity, spreading, tolerations, gates.

In: the parts of a PodSpec. Out: errors on the list given. Called by: ``spec``, ``update``; node
selectors also by persistent volumes. Upstream: pkg/apis/core/validation;
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trireme.api import rules
from trireme.api.core.v1.pod.scheduling import (
    Affinity,
    NodeAffinity,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    PodSchedulingGate,
    TopologySpreadConstraint,
)
from trireme.api.core.v1.selection import (
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Toleration,
)
from trireme.api.rules import Errors
from trireme.machinery import field, names
from trireme.machinery.field import Path
from trireme.machinery.meta import LabelSelector

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
_UNSATISFIABLE: Final = ("DoNotSchedule", "ScheduleAnyway")
_NOT_AN_OPERATOR: Final = "not a valid selector operator"


def affinity(errs: Errors, at: Path, value: Affinity) -> None:
    """``affinity``."""
    if value.nodeAffinity is not None:
        _node_affinity(errs, at.child("nodeAffinity"), value.nodeAffinity)
    if value.podAffinity is not None:
        _pod_affinity(errs, at.child("podAffinity"), value.podAffinity)
    if value.podAntiAffinity is not None:
        _pod_affinity(errs, at.child("podAntiAffinity"), value.podAntiAffinity)


def node_selector(errs: Errors, at: Path, value: NodeSelector) -> None:
    """Terms of which a node must match one."""
    here = at.child("nodeSelectorTerms")
    if not value.nodeSelectorTerms:
        errs.append(field.required(here, "must have at least one node selector term"))
    for position, term in enumerate(value.nodeSelectorTerms):
        _term(errs, here.index(position), term, values_checked=True)


def spread(errs: Errors, at: Path, items: Sequence[TopologySpreadConstraint]) -> None:
    """``topologySpreadConstraints``."""
    for position, item in enumerate(items):
        here = at.index(position)
        rules.positive(errs, here, "maxSkew", item.maxSkew)
        if not item.topologyKey:
            errs.append(field.required(here.child("topologyKey"), "can not be empty"))
        rules.one_of(errs, here, "whenUnsatisfiable", item.whenUnsatisfiable, _UNSATISFIABLE)
        if any(
            other.topologyKey == item.topologyKey
            and other.whenUnsatisfiable == item.whenUnsatisfiable
            for other in items[position + 1 :]
        ):
            where = here.child("{topologyKey, whenUnsatisfiable}")
            pair = f"{{{item.topologyKey}, {item.whenUnsatisfiable}}}"
            errs.append(field.duplicate(where, pair))
        if item.minDomains is not None:
            rules.positive(errs, here, "minDomains", item.minDomains)
            if item.whenUnsatisfiable != "DoNotSchedule":
                detail = (
                    "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not "
                    f"{item.whenUnsatisfiable}"
                )
                errs.append(field.invalid(here.child("minDomains"), item.minDomains, detail))
        rules.declared(errs, here, item, "nodeAffinityPolicy", "nodeTaintsPolicy")
        _label_keys(errs, here, item.matchLabelKeys, [], item.labelSelector)
        rules.label_selector(errs, here.child("labelSelector"), item.labelSelector)


def tolerations(errs: Errors, at: Path, items: Sequence[Toleration]) -> None:
    """``tolerations``."""
    for position, item in enumerate(items):
        here = at.index(position)
        if item.key:
            rules.syntax(errs, here, "key", item.key, names.is_qualified_name)
        elif item.operator != "Exists":
            detail = (
                "operator must be Exists when `key` is empty, which means "
                '"match all values and all keys"'
            )
            errs.append(field.invalid(here.child("operator"), item.operator, detail))
        if item.tolerationSeconds is not None and item.effect != "NoExecute":
            detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errs.append(field.invalid(here.child("effect"), item.effect, detail))
        _toleration_value(errs, here, item)
        rules.declared(errs, here, item, "effect")


def gates(errs: Errors, at: Path, items: Sequence[PodSchedulingGate]) -> None:
    """``schedulingGates``."""
    used: set[str] = set()
    for position, item in enumerate(items):
        rules.add(errs, at.index(position), item.name, names.is_qualified_name(item.name))
        if item.name in used:
            errs.append(field.duplicate(at.index(position), item.name))
        used.add(item.name)


def _toleration_value(errs: Errors, at: Path, item: Toleration) -> None:
    where = at.child("operator")
    if item.operator in ("Equal", ""):
        messages = names.is_label_value(item.value)
        if messages:
            errs.append(field.invalid(where, item.value, ";".join(messages)))
    elif item.operator == "Exists":
        if item.value:
            detail = "value must be empty when `operator` is 'Exists'"
            errs.append(field.invalid(where, item.value, detail))
    elif item.operator in ("Lt", "Gt"):
        # Disabled in v1.36 (TaintTolerationComparisonOperators), but listed as supported.
        supported = ("Equal", "Exists", "Lt", "Gt")
        errs.append(field.not_supported(where, item.operator, supported))
    else:
        errs.append(field.not_supported(where, item.operator, ("Equal", "Exists")))


def _node_affinity(errs: Errors, at: Path, value: NodeAffinity) -> None:
    required = value.requiredDuringSchedulingIgnoredDuringExecution
    if required is not None:
        node_selector(errs, at.child(_REQUIRED), required)
    for position, term in enumerate(value.preferredDuringSchedulingIgnoredDuringExecution):
        here = at.child(_PREFERRED).index(position)
        _weight(errs, here, term.weight)
        _term(errs, here.child("preference"), term.preference, values_checked=False)


def _pod_affinity(errs: Errors, at: Path, value: PodAffinity | PodAntiAffinity) -> None:
    for position, term in enumerate(value.requiredDuringSchedulingIgnoredDuringExecution):
        _pod_term(errs, at.child(_REQUIRED).index(position), term)
    for position, weighted in enumerate(value.preferredDuringSchedulingIgnoredDuringExecution):
        here = at.child(_PREFERRED).index(position)
        _weight(errs, here, weighted.weight)
        _pod_term(errs, here.child("podAffinityTerm"), weighted.podAffinityTerm)


def _weight(errs: Errors, at: Path, weight: int) -> None:
    if not 1 <= weight <= 100:
        errs.append(field.invalid(at.child("weight"), weight, "must be in the range 1-100"))


def _pod_term(errs: Errors, at: Path, term: PodAffinityTerm) -> None:
    rules.label_selector(errs, at.child("labelSelector"), term.labelSelector)
    rules.label_selector(errs, at.child("namespaceSelector"), term.namespaceSelector)
    for name in term.namespaces:
        rules.syntax(errs, at, "namespace", name, names.is_dns1123_label)
    _label_keys(errs, at, term.matchLabelKeys, term.mismatchLabelKeys, term.labelSelector)
    if not term.topologyKey:
        errs.append(field.required(at.child("topologyKey"), "can not be empty"))
    rules.syntax(errs, at, "topologyKey", term.topologyKey, names.is_qualified_name)


def _label_keys(
    errs: Errors, at: Path, match: list[str], mismatch: list[str], selector: LabelSelector | None
) -> None:
    """Keys whose values come from the pod's own labels; creation has merged them already."""
    for name, keys in (("matchLabelKeys", match), ("mismatchLabelKeys", mismatch)):
        if keys and selector is None:
            detail = "must not be specified when labelSelector is not set"
            errs.append(field.forbidden(at.child(name), detail))
        elif keys:
            for position, key in enumerate(keys):
                where = at.child(name).index(position)
                rules.add(errs, where, key, names.is_qualified_name(key))
    if selector is not None and match:
        used = set(selector.matchLabels)
        for expression in selector.matchExpressions:
            key = expression.key
            if key in match and key in used:
                # A key that stands here twice came once from the client and once from the merge.
                detail = "exists in both matchLabelKeys and labelSelector"
                errs.append(field.invalid(at.index(match.index(key)), key, detail))
            used.add(key)
    for position, key in enumerate(match):
        if key in mismatch:
            where = at.child("matchLabelKeys").index(position)
            detail = "exists in both matchLabelKeys and mismatchLabelKeys"
            errs.append(field.invalid(where, key, detail))


def _term(errs: Errors, at: Path, term: NodeSelectorTerm, *, values_checked: bool) -> None:
    for position, item in enumerate(term.matchExpressions):
        _expression(errs, at.child("matchExpressions").index(position), item, values_checked)
    for position, item in enumerate(term.matchFields):
        _field(errs, at.child("matchFields").index(position), item)


def _expression(
    errs: Errors, at: Path, item: NodeSelectorRequirement, values_checked: bool
) -> None:
    where = at.child("values")
    if item.operator in ("In", "NotIn"):
        if not item.values:
            detail = "must be specified when `operator` is 'In' or 'NotIn'"
            errs.append(field.required(where, detail))
    elif item.operator in ("Exists", "DoesNotExist"):
        if item.values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errs.append(field.forbidden(where, detail))
    elif item.operator in ("Gt", "Lt"):
        if len(item.values) != 1:
            detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            errs.append(field.required(where, detail))
    else:
        errs.append(field.invalid(at.child("operator"), item.operator, _NOT_AN_OPERATOR))
    rules.syntax(errs, at, "key", item.key, names.is_qualified_name)
    if values_checked:
        for position, value in enumerate(item.values):
            rules.add(errs, where.index(position), value, names.is_label_value(value))


def _field(errs: Errors, at: Path, item: NodeSelectorRequirement) -> None:
    if item.operator not in ("In", "NotIn"):
        errs.append(field.invalid(at.child("operator"), item.operator, _NOT_AN_OPERATOR))
    elif len(item.values) != 1:
        detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errs.append(field.required(at.child("values"), detail))
    if item.key != "metadata.name":
        detail = "not a valid field selector key"
        errs.append(field.invalid(at.child("key"), item.key, detail))
        return
    for position, value in enumerate(item.values):
        where = at.child("values").index(position)
        rules.add(errs, where, value, names.is_dns1123_subdomain(value))

"""Deprecated labels of nodes, and the warnings for their use.

Called by: warnings of kinds that select nodes. Upstream: pkg/api/node.
"""

from __future__ import annotations

from typing import Final

from trireme.api.core.v1.selection import NodeSelectorTerm
from trireme.machinery import names
from trireme.machinery.field import Path
from trireme.machinery.meta import LabelSelector

DEPRECATED: Final = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": "deprecated since v1.17; "
    'use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": "deprecated since v1.17; "
    'use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": "deprecated since v1.17; "
    'use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; "
    "use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}


def term_warnings(at: Path, term: NodeSelectorTerm, check_values: bool) -> list[str]:
    """Deprecated labels in a node selector's term, and, where the rules let them pass, values
    that no label can have."""
    found: list[str] = []
    for position, item in enumerate(term.matchExpressions):
        here = at.child("matchExpressions").index(position)
        if item.key in DEPRECATED:
            found.append(f"{here.child('key')}: {item.key} is {DEPRECATED[item.key]}")
        for number, value in enumerate(item.values if check_values else ()):
            for problem in names.is_label_value(value):
                where = here.child("values").index(number)
                found.append(f"{where}: {value} is invalid, {problem}")
    return found


def selector_warnings(at: Path, selector: LabelSelector | None) -> list[str]:
    """Deprecated labels in a label selector that is over nodes."""
    if selector is None:
        return []
    found = [
        f"{at.child('matchExpressions').index(position).child('key')}: "
        f"{item.key} is {DEPRECATED[item.key]}"
        for position, item in enumerate(selector.matchExpressions)
        if item.key in DEPRECATED
    ]
    for key in selector.matchLabels:
        if key in DEPRECATED:
            found.append(f"{at.child('matchLabels', key)}: {DEPRECATED[key]}")
    return found

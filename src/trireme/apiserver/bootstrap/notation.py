"""The notation of the bootstrap policy, read into typed objects. Pure.

In: the text of a file in ``policy/``. Out: roles or bindings, as they are to be stored. Called by
``policy``; ``fairness`` reads blocks and rules with it. A line that begins at the margin names an
object (a namespace before the name where the kind has one); the indented lines below are its
content, and a deeper indent continues a line:

- ``label X``, ``sums X``: the role carries, or aggregates the roles that carry, the label
  ``rbac.authorization.k8s.io/X: "true"``
- ``GROUP|GROUP: RESOURCE ... [NAME ...] = VERB ...``: a rule; ``core`` is the group without a name
- ``urls PATH ... = VERB ...``: a rule about paths outside the resources
- ``EVENTS``: create, patch and update events of both groups
- ``gate NAME``: what follows is in the role only while the feature gate is on; a role of which
  nothing is left is none
- ``role NAME``, ``user NAME``, ``group NAME``, ``account NAMESPACE/NAME``: of a binding

``READ`` is get, list, watch; ``WRITE`` is create, delete, deletecollection, patch, update.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from trireme.api.rbac.v1.clusterrole import AggregationRule, ClusterRole
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.role import Role
from trireme.api.rbac.v1.rolebinding_types import RoleBinding
from trireme.api.rbac.v1.rules import PolicyRule, RoleRef, Subject
from trireme.machinery.meta import LabelSelector, ObjectMeta

GROUP = "rbac.authorization.k8s.io"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
BOOTSTRAPPING = "kubernetes.io/bootstrapping"
_VERBS = {
    "READ": ["get", "list", "watch"],
    "WRITE": ["create", "delete", "deletecollection", "patch", "update"],
}
_EVENTS = "core|events.k8s.io: events = create patch update"

GateIsOn = Callable[[str], bool]
AnyRole = TypeVar("AnyRole", ClusterRole, Role)
AnyBinding = TypeVar("AnyBinding", ClusterRoleBinding, RoleBinding)


def roles(text: str, kind: type[AnyRole], is_on: GateIsOn = lambda gate: False) -> list[AnyRole]:
    """The roles in a text. ``is_on`` says of a feature gate whether it is on."""
    found = [(head, _gated(lines, is_on)) for head, lines in blocks(text)]
    return [_role(head, lines, kind) for head, lines in found if lines]


def bindings(text: str, kind: type[AnyBinding]) -> list[AnyBinding]:
    """The bindings in a text; those in a namespace bind a Role, the others a ClusterRole."""
    return [_binding(head, lines, kind) for head, lines in blocks(text)]


def metadata(head: str) -> ObjectMeta:
    """The metadata of a bootstrap object, from ``[NAMESPACE ]NAME``."""
    namespace, _, name = head.rpartition(" ")
    return ObjectMeta(
        name=name,
        namespace=namespace,
        labels={BOOTSTRAPPING: "rbac-defaults"},
        annotations={AUTOUPDATE: "true"},
    )


def blocks(text: str) -> list[tuple[str, list[str]]]:
    """Each object's head and its lines, continued lines joined."""
    blocks: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith(" "):
            blocks.append((line.strip(), []))
        elif line.startswith("    "):
            blocks[-1][1][-1] += " " + line.strip()
        else:
            blocks[-1][1].append(line.strip())
    return blocks


def _gated(lines: list[str], is_on: GateIsOn) -> list[str]:
    """The lines that are for a cluster with these gates."""
    found: list[str] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word != "gate":
            found.append(line)
        elif not is_on(rest):
            break
    return found


def _role(head: str, lines: list[str], kind: type[AnyRole]) -> AnyRole:
    role = kind(metadata=metadata(head))
    for line in lines:
        word, _, rest = line.partition(" ")
        label = f"{GROUP}/{rest}"
        if word == "label":
            role.metadata.labels[label] = "true"
        elif word == "sums" and isinstance(role, ClusterRole):
            selector = LabelSelector(matchLabels={label: "true"})
            role.aggregationRule = AggregationRule(clusterRoleSelectors=[selector])
        else:
            found = rule(line)
            # Upstream builds every rule of a role sorted.
            found.verbs.sort()
            role.rules.append(found)
    return role


def rule(line: str) -> PolicyRule:
    """One rule. ValueError for a line that is none."""
    what, equals, words = (_EVENTS if line == "EVENTS" else line).partition(" = ")
    if not equals:
        raise ValueError(f"not a rule of the bootstrap policy: {line}")
    verbs = [verb for word in words.split() for verb in _VERBS.get(word, [word])]
    if what.startswith("urls "):
        return PolicyRule(verbs=verbs, nonResourceURLs=what.split()[1:])
    groups, _, rest = what.partition(": ")
    resources, _, names = rest.partition("[")
    return PolicyRule(
        verbs=verbs,
        apiGroups=["" if group == "core" else group for group in groups.split("|")],
        resources=resources.split(),
        resourceNames=names.rstrip("]").split(),
    )


def _binding(head: str, lines: list[str], kind: type[AnyBinding]) -> AnyBinding:
    binding = kind(metadata=metadata(head))
    role_kind = "Role" if binding.metadata.namespace else "ClusterRole"
    for line in lines:
        word, _, name = line.partition(" ")
        if word == "role":
            binding.roleRef = RoleRef(apiGroup=GROUP, kind=role_kind, name=name)
        else:
            binding.subjects.append(_subject(word, name))
    return binding


def _subject(word: str, name: str) -> Subject:
    if word == "account":
        namespace, _, account = name.partition("/")
        return Subject(kind="ServiceAccount", name=account, namespace=namespace)
    kinds = {"user": "User", "group": "Group"}
    if word not in kinds:
        raise ValueError(f"not a subject of the bootstrap policy: {word} {name}")
    return Subject(kind=kinds[word], apiGroup=GROUP, name=name)

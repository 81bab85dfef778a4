"""Which rules hold for a user in a namespace: bindings followed to their roles, and remembered.

In: the stored roles and bindings. Out: ``Access``, what one user may do in one namespace. All that
is remembered is forgotten when a role or a binding is written, and built again when asked for.
Callers: the RBAC authorizer, the escalation check and SelfSubjectRulesReview.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trireme.api.rbac.v1.clusterrole import ClusterRole
from trireme.api.rbac.v1.clusterrolebinding_types import ClusterRoleBinding
from trireme.api.rbac.v1.role import Role
from trireme.api.rbac.v1.rolebinding_types import RoleBinding
from trireme.api.rbac.v1.rules import PolicyRule, RoleRef, Subject
from trireme.apiserver.authz.contract import Decision
from trireme.apiserver.authz.rbac import match
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.request import User
from trireme.machinery import gotext

# How many answers are remembered before all are forgotten: bounds memory, never changes answers.
MOST_USERS = 10_000
MOST_ANSWERS = 2_000

_Binding = ClusterRoleBinding | RoleBinding


@dataclass(frozen=True, slots=True)
class Grant:
    """The rules that one binding gives to one subject."""

    binding: _Binding
    subject: Subject
    rules: list[PolicyRule]

    def __str__(self) -> str:
        meta, ref = self.binding.metadata, self.binding.roleRef
        name = f"{meta.name}/{meta.namespace}" if meta.namespace else meta.name
        who = self.subject.name
        if self.subject.kind == "ServiceAccount":
            who = f"{who}/{self.subject.namespace or meta.namespace}"
        return (
            f"{self.binding.kind} {gotext.quote(name)} of {ref.kind} {gotext.quote(ref.name)} "
            f"to {self.subject.kind} {gotext.quote(who)}"
        )


class Access:
    """What one user may do in one namespace (or in none)."""

    def __init__(self, grants: list[Grant], problems: list[str]) -> None:
        self.grants = grants
        self.problems = problems
        reason = f"RBAC: {_joined(problems)}" if problems else ""
        self._denied = Decision(False, reason)
        # For each (verb, group, resource, subresource): who may whatever the name is, and who may
        # by name.
        self._answers: dict[tuple[str, str, str, str], tuple[Decision, dict[str, Decision]]] = {}

    @property
    def rules(self) -> list[PolicyRule]:
        """All rules that hold."""
        return [rule for grant in self.grants for rule in grant.rules]

    def resource(
        self, verb: str, group: str, resource: str, subresource: str, name: str
    ) -> Decision:
        """May the user do this to a resource of this name (empty where the request has none)?"""
        key = (verb, group, resource, subresource)
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= MOST_ANSWERS:
                self._answers.clear()
            answer = self._answers[key] = self._decide(verb, group, resource, subresource)
        always, by_name = answer
        return by_name.get(name, always) if by_name else always

    def path(self, verb: str, path: str) -> Decision:
        """May the user do this to a path outside the resources?"""
        for grant in self.grants:
            for rule in grant.rules:
                if rule.nonResourceURLs and match.allows_path(rule, verb, path):
                    return _allowed(grant)
        return self._denied

    def _decide(
        self, verb: str, group: str, resource: str, subresource: str
    ) -> tuple[Decision, dict[str, Decision]]:
        by_name: dict[str, Decision] = {}
        for grant in self.grants:
            for rule in grant.rules:
                if not match.allows_resource(rule, verb, group, resource, subresource):
                    continue
                if not rule.resourceNames:
                    return _allowed(grant), by_name
                for name in rule.resourceNames:
                    by_name.setdefault(name, _allowed(grant))
        return self._denied, by_name


class _Bindings:
    """The bindings of a namespace, by their subjects: who has few is found as fast among many."""

    def __init__(self) -> None:
        self._count = 0
        self._by_subject: dict[tuple[str, str], list[tuple[int, int, _Binding, Subject]]] = {}

    def add(self, binding: _Binding) -> None:
        for position, subject in enumerate(binding.subjects):
            key = match.subject_key(subject, binding.metadata.namespace)
            if key is not None:
                found = (self._count, position, binding, subject)
                self._by_subject.setdefault(key, []).append(found)
        self._count += 1

    def of(self, user: User) -> Iterator[tuple[_Binding, Subject]]:
        """The bindings that mean a user, in their order, each by the first of its subjects."""
        keys = [("User", user.name), *(("Group", group) for group in user.groups)]
        entries = [entry for key in dict.fromkeys(keys) for entry in self._by_subject.get(key, ())]
        last = -1
        for number, _, binding, subject in sorted(entries, key=_place):
            if number != last:
                yield binding, subject
            last = number


def _place(entry: tuple[int, int, _Binding, Subject]) -> tuple[int, int]:
    return entry[0], entry[1]


class Resolver:
    """The rules of every user, from the stored state."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._changes = reader.changes(ClusterRole, ClusterRoleBinding, Role, RoleBinding)
        # For each namespace, "" for those of the cluster.
        self._bindings: dict[str, _Bindings] = {}
        self._known: dict[tuple[str, tuple[str, ...], str], Access] = {}

    def access(self, user: User, namespace: str) -> Access:
        """What a user may do in a namespace; "" for what is in none."""
        if self._changes.any():
            self._reload()
        key = (user.name, user.groups, namespace)
        access = self._known.get(key)
        if access is None:
            if len(self._known) >= MOST_USERS:
                self._known.clear()
            access = self._known[key] = self._resolve(user, namespace)
        return access

    def rules_of(self, ref: RoleRef, namespace: str) -> list[PolicyRule]:
        """The rules of a role that a binding refers to. LookupError with upstream's text."""
        if ref.kind == "ClusterRole":
            cluster_role = self._reader.get(ClusterRole, "", ref.name)
            if cluster_role is None:
                name = gotext.quote(ref.name)
                raise LookupError(f"clusterrole.rbac.authorization.k8s.io {name} not found")
            return cluster_role.rules
        if ref.kind == "Role":
            role = self._reader.get(Role, namespace, ref.name)
            if role is None:
                name = gotext.quote(ref.name)
                raise LookupError(f"role.rbac.authorization.k8s.io {name} not found")
            return role.rules
        raise LookupError(f"unsupported role reference kind: {gotext.quote(ref.kind)}")

    def _reload(self) -> None:
        self._known.clear()
        self._bindings = {}
        of_cluster: list[_Binding] = [*self._reader.list(ClusterRoleBinding)]
        for binding in of_cluster + self._reader.list(RoleBinding):
            namespace = binding.metadata.namespace
            if namespace not in self._bindings:
                self._bindings[namespace] = _Bindings()
            self._bindings[namespace].add(binding)

    def _resolve(self, user: User, namespace: str) -> Access:
        grants: list[Grant] = []
        problems: list[str] = []
        for binding, subject in self._bindings_of(user, namespace):
            try:
                rules = self.rules_of(binding.roleRef, binding.metadata.namespace)
            except LookupError as problem:
                problems.append(str(problem))
            else:
                grants.append(Grant(binding, subject, rules))
        return Access(grants, problems)

    def _bindings_of(self, user: User, namespace: str) -> Iterator[tuple[_Binding, Subject]]:
        for where in dict.fromkeys(("", namespace)):
            if where in self._bindings:
                yield from self._bindings[where].of(user)


def _allowed(grant: Grant) -> Decision:
    return Decision(True, f"RBAC: allowed by {grant}")


def _joined(problems: list[str]) -> str:
    """Several problems as one text, each of them once."""
    different = list(dict.fromkeys(problems))
    return different[0] if len(different) == 1 else f"[{', '.join(different)}]"

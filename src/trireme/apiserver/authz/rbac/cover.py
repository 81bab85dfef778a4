"""Do some rules allow all that others allow? Pure.

In: the rules held and the rules required. Out: what is required and not held, as rules of one verb
and one resource. Callers: the escalation check and the bootstrap policy. Upstream:
component-helpers ``auth/rbac/validation``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trireme.api.rbac.v1.rules import PolicyRule
from trireme.apiserver.authz.rbac import match
from trireme.machinery import gotext


def uncovered(held: Iterable[PolicyRule], required: Iterable[PolicyRule]) -> list[PolicyRule]:
    """The parts of ``required`` that no single rule of ``held`` allows."""
    rules = list(held)
    parts = (part for rule in required for part in breakdown(rule))
    return [part for part in parts if not any(_covers(rule, part) for rule in rules)]


def breakdown(rule: PolicyRule) -> Iterator[PolicyRule]:
    """A rule as rules of at most one verb, group, resource and name each."""
    for group in rule.apiGroups:
        for resource in rule.resources:
            for verb in rule.verbs:
                for named in [[name] for name in rule.resourceNames] or [[]]:
                    yield PolicyRule(
                        verbs=[verb],
                        apiGroups=[group],
                        resources=[resource],
                        resourceNames=named,
                    )
    for url in rule.nonResourceURLs:
        for verb in rule.verbs:
            yield PolicyRule(verbs=[verb], nonResourceURLs=[url])


def compacted(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Rules on resources that differ only in their verbs, joined; for messages."""
    joined: dict[tuple[tuple[str, ...], ...], PolicyRule] = {}
    paths: list[PolicyRule] = []
    for rule in rules:
        if rule.nonResourceURLs:
            paths.append(rule)
            continue
        key = tuple(tuple(part) for part in (rule.apiGroups, rule.resources, rule.resourceNames))
        known = joined.get(key)
        if known is None:
            joined[key] = PolicyRule(
                verbs=list(rule.verbs),
                apiGroups=rule.apiGroups,
                resources=rule.resources,
                resourceNames=rule.resourceNames,
            )
        else:
            known.verbs += [verb for verb in rule.verbs if verb not in known.verbs]
    return paths + list(joined.values())


def described(rule: PolicyRule) -> str:
    """A rule as messages about escalation print it."""
    parts = (
        ("APIGroups", rule.apiGroups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.nonResourceURLs),
        ("ResourceNames", rule.resourceNames),
        ("Verbs", rule.verbs),
    )
    printed = [f"{name}:{gotext.quotes(values)}" for name, values in parts if values]
    return "{" + ", ".join(printed) + "}"


def _covers(rule: PolicyRule, part: PolicyRule) -> bool:
    if not match.matches_any(rule.verbs, part.verbs[0]):
        return False
    if part.nonResourceURLs:
        return any(_covers_path(url, part.nonResourceURLs[0]) for url in rule.nonResourceURLs)
    if not match.matches_any(rule.apiGroups, part.apiGroups[0]):
        return False
    resource, _, subresource = part.resources[0].partition("/")
    if not match.matches_resource(rule.resources, resource, subresource):
        return False
    if not rule.resourceNames:
        return True
    return bool(part.resourceNames) and part.resourceNames[0] in rule.resourceNames


def _covers_path(pattern: str, path: str) -> bool:
    if pattern == path:
        return True
    return pattern.endswith(match.ALL) and path.startswith(pattern.rstrip(match.ALL))

"""Which requests a FlowSchema is about. Pure.

In: its rules, a user and what the request asks for. Out: yes or no. Called by ``levels``, which
keeps the answers. Upstream: apiserver ``util/flowcontrol/rule.go``.
"""

from __future__ import annotations

from collections.abc import Sequence

from trireme.api.flowcontrol.v1.flowschema_types import (
    FlowSchema,
    NonResourcePolicyRule,
    ResourcePolicyRule,
    Subject,
)
from trireme.apiserver.request import RequestInfo, User

_ACCOUNTS = "system:serviceaccount:"


def matches(schema: FlowSchema, user: User, info: RequestInfo) -> bool:
    """Whether one of the rules is about the request."""
    return any(
        any(_is_subject(subject, user) for subject in rule.subjects or ())
        and (
            any(_is_resource(one, info) for one in rule.resourceRules)
            if info.is_resource
            else any(_is_path(one, info) for one in rule.nonResourceRules)
        )
        for rule in schema.spec.rules
    )


def _is_subject(subject: Subject, user: User) -> bool:
    if subject.kind == "User":
        return subject.user is not None and subject.user.name in ("*", user.name)
    if subject.kind == "Group":
        return subject.group is not None and (
            subject.group.name == "*" or subject.group.name in user.groups
        )
    account = subject.serviceAccount
    if subject.kind != "ServiceAccount" or account is None:
        return False
    if account.name == "*":
        return user.name.startswith(f"{_ACCOUNTS}{account.namespace}:")
    return user.name == f"{_ACCOUNTS}{account.namespace}:{account.name}"


def _is_resource(rule: ResourcePolicyRule, info: RequestInfo) -> bool:
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    if not (
        _has(rule.verbs, info.verb)
        and _has(rule.resources, resource)
        and _has(rule.apiGroups, info.group)
    ):
        return False
    return _has(rule.namespaces, info.namespace) if info.namespace else rule.clusterScope


def _is_path(rule: NonResourcePolicyRule, info: RequestInfo) -> bool:
    if not _has(rule.verbs, info.verb):
        return False
    for url in rule.nonResourceURLs or ():
        if url in ("*", info.path):
            return True
        prefix = url.removesuffix("*")
        if info.path.startswith(prefix if prefix.endswith("/") else f"{prefix}/"):
            return True
    return False


def _has(values: Sequence[str] | None, value: str) -> bool:
    return values is not None and (value in values or list(values) == ["*"])

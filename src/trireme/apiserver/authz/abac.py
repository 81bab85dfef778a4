"""Attribute based access control: --authorization-mode=ABAC with --authorization-policy-file.

In: a file's text; a question. Out: the policies; a decision. Pure. Upstream:
pkg/auth/authorizer/abac, pkg/apis/abac; https://kubernetes.io/docs/reference/access-authn-authz/abac/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from trireme.api.rbac.v1.rules import PolicyRule
from trireme.apiserver.authz.contract import Attributes, Decision
from trireme.apiserver.request import AUTHENTICATED, READ_VERBS, User
from trireme.apiserver.settings.authorization import Policy
from trireme.machinery.configuration import Configuration

_VERSION = "abac.authorization.kubernetes.io/v1beta1"
_ALLOWED = Decision(True)
_NO_OPINION = Decision(False, "No policy matched.")


class _Spec(Configuration, frozen=True):
    user: str = ""
    group: str = ""
    readonly: bool = False
    apiGroup: str = ""
    resource: str = ""
    namespace: str = ""
    nonResourcePath: str = ""


class _Versioned(Configuration, frozen=True):
    apiVersion: str = ""
    kind: str = ""
    spec: _Spec = _Spec()


class _Unversioned(Configuration, frozen=True):
    user: str = ""
    group: str = ""
    readonly: bool = False
    resource: str = ""
    namespace: str = ""


def parse(text: str) -> tuple[Policy, ...]:
    """The policies of a file, one in each line. ValueError, which names the line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                found.append(_policy(line))
            except (msgspec.MsgspecError, ValueError) as error:
                raise ValueError(f"error reading policy file, line {number}: {error}") from None
    return tuple(found)


def _policy(line: str) -> Policy:
    value: Any = msgspec.json.decode(line)
    if isinstance(value, dict) and ("apiVersion" in value or "kind" in value):
        versioned = msgspec.convert(value, _Versioned)
        if (versioned.apiVersion, versioned.kind) != (_VERSION, "Policy"):
            raise ValueError(
                f'no kind "{versioned.kind}" is registered for version "{versioned.apiVersion}"'
            )
        spec = versioned.spec
        everybody = "*" in (spec.user, spec.group)
        return Policy(
            user="" if everybody else spec.user,
            group=AUTHENTICATED if everybody else spec.group,
            readonly=spec.readonly,
            group_of_resource=spec.apiGroup,
            resource=spec.resource,
            namespace=spec.namespace,
            path=spec.nonResourcePath,
        )
    old = msgspec.convert(value, _Unversioned)
    everybody = "*" in (old.user, old.group) or not (old.user or old.group)
    return Policy(
        user="" if everybody else old.user,
        group=AUTHENTICATED if everybody else old.group,
        readonly=old.readonly,
        group_of_resource="*",
        resource=old.resource or "*",
        namespace=old.namespace or "*",
        path="" if old.namespace or old.resource else "*",
    )


class AbacAuthorizer:
    """Allows what a policy allows; has no opinion on the rest."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = policies

    def authorize(self, attributes: Attributes) -> Decision:
        """The first policy that fits decides."""
        for policy in self._policies:
            if _is_subject(policy, attributes.user) and _covers(policy, attributes):
                return _ALLOWED
        return _NO_OPINION

    def rules(self, user: User, namespace: str) -> list[PolicyRule]:
        """What the policies allow a user in a namespace."""
        found = []
        for policy in self._policies:
            if not _is_subject(policy, user) or policy.namespace not in ("*", namespace):
                continue
            verbs = ["get", "list", "watch"] if policy.readonly else ["*"]
            if policy.resource:
                groups, resources = [policy.group_of_resource], [policy.resource]
                found.append(PolicyRule(verbs=verbs, apiGroups=groups, resources=resources))
            if policy.path:
                found.append(PolicyRule(verbs=verbs, nonResourceURLs=[policy.path]))
        return found


def _is_subject(policy: Policy, user: User) -> bool:
    if policy.user and policy.user != user.name:
        return False
    if policy.group and policy.group not in user.groups:
        return False
    return bool(policy.user or policy.group)


def _covers(policy: Policy, attributes: Attributes) -> bool:
    if policy.readonly and attributes.verb not in READ_VERBS:
        return False
    if not attributes.is_resource:
        path = policy.path
        if path in ("*", attributes.path):
            return True
        return path.endswith("*") and attributes.path.startswith(path.rstrip("*"))
    return (
        policy.namespace in ("*", attributes.namespace)
        and policy.resource in ("*", attributes.resource)
        and policy.group_of_resource in ("*", attributes.group)
    )

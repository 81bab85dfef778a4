"""Checks of authorization: ``authorizer.group('apps').resource('deployments').check('create')``.

Out: ``OVERLOADS``, ``SELECTORS``, ``AUTHORIZER``; ``Authorizer`` and ``resource_check``, which the
caller binds to ``authorizer`` and ``authorizer.requestResource``. The decider is injected.
Called by: ``versions``; admission policies bind the values. Rules: apiserver
``pkg/cel/library/authz``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from .. import types as t
from ..errors import EvalError
from ..functions import Overload, method
from ..values import Opaque

_PREFIX: Final = "kubernetes.authorization."
AUTHORIZER: Final = t.struct(_PREFIX + "Authorizer")
PATH_CHECK: Final = t.struct(_PREFIX + "PathCheck")
GROUP_CHECK: Final = t.struct(_PREFIX + "GroupCheck")
RESOURCE_CHECK: Final = t.struct(_PREFIX + "ResourceCheck")
DECISION: Final = t.struct(_PREFIX + "Decision")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII).fullmatch
_SUBDOMAIN: Final = re.compile(
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII
).fullmatch


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of a request: a ``path`` or a resource (``path`` is empty), and a verb.

    ``user`` is what the caller gave to ``Authorizer``, or ``(namespace, name)`` of a service
    account. Selectors are texts; the decider leaves out what does not parse.
    """

    user: Any
    verb: str = ""
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""


@dataclass(frozen=True, slots=True)
class Decision(Opaque):
    """The answer; ``error`` is empty when there was none."""

    allowed: bool
    reason: str = ""
    error: str = ""
    type_name = DECISION.name


class Decider(Protocol):
    """Decides synchronously."""

    def __call__(self, attributes: Attributes) -> Decision:
        """The decision on ``attributes``."""


@dataclass(frozen=True, slots=True)
class Authorizer(Opaque):
    """Asks ``decide`` on behalf of ``user``."""

    decide: Decider
    user: Any
    type_name = AUTHORIZER.name


@dataclass(frozen=True, slots=True)
class _Check(Opaque):
    decide: Decider
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class PathCheck(_Check):
    """A check of a path."""

    type_name = PATH_CHECK.name


@dataclass(frozen=True, slots=True)
class GroupCheck(_Check):
    """The beginning of a check of a resource."""

    type_name = GROUP_CHECK.name


@dataclass(frozen=True, slots=True)
class ResourceCheck(_Check):
    """A check of a resource."""

    type_name = RESOURCE_CHECK.name


def resource_check(authorizer: Authorizer, attributes: Attributes) -> ResourceCheck:
    """The check of a request's resource, to be bound as ``requestResource``."""
    return ResourceCheck(authorizer.decide, replace(attributes, user=authorizer.user))


def _path(a: Authorizer, path: str) -> PathCheck:
    if not path.strip():
        raise EvalError("path must not be empty")
    return PathCheck(a.decide, Attributes(a.user, path=path))


def _group(a: Authorizer, group: str) -> GroupCheck:
    return GroupCheck(a.decide, Attributes(a.user, group=group))


def _service_account(a: Authorizer, namespace: str, name: str) -> Authorizer:
    if len(name) > 253 or not _SUBDOMAIN(name):
        raise EvalError("Invalid service account name")
    if len(namespace) > 63 or not _LABEL(namespace):
        raise EvalError("Invalid service account namespace")
    return Authorizer(a.decide, (namespace, name))


def _resource(g: GroupCheck, resource: str) -> ResourceCheck:
    if not resource.strip():
        raise EvalError("resource must not be empty")
    return ResourceCheck(g.decide, replace(g.attributes, resource=resource))


def _with(field: str) -> Any:
    return lambda r, value: ResourceCheck(r.decide, replace(r.attributes, **{field: value}))


def _check(question: _Check, verb: str) -> Decision:
    return question.decide(replace(question.attributes, verb=verb))


_S: Final = t.STRING
_R: Final = (RESOURCE_CHECK, _S)
OVERLOADS: Final[list[Overload]] = [
    method("path", "authorizer_path", (AUTHORIZER, _S), PATH_CHECK, _path),
    method("group", "authorizer_group", (AUTHORIZER, _S), GROUP_CHECK, _group),
    method(
        "serviceAccount",
        "authorizer_serviceaccount",
        (AUTHORIZER, _S, _S),
        AUTHORIZER,
        _service_account,
    ),
    method("resource", "groupcheck_resource", (GROUP_CHECK, _S), RESOURCE_CHECK, _resource),
    method("subresource", "resourcecheck_subresource", _R, RESOURCE_CHECK, _with("subresource")),
    method("namespace", "resourcecheck_namespace", _R, RESOURCE_CHECK, _with("namespace")),
    method("name", "resourcecheck_name", _R, RESOURCE_CHECK, _with("name")),
    method("check", "pathcheck_check", (PATH_CHECK, _S), DECISION, _check),
    method("check", "resourcecheck_check", _R, DECISION, _check),
    method("errored", "decision_errored", (DECISION,), t.BOOL, lambda d: bool(d.error)),
    method("error", "decision_error", (DECISION,), _S, lambda d: d.error),
    method("allowed", "decision_allowed", (DECISION,), t.BOOL, lambda d: d.allowed),
    method("reason", "decision_reason", (DECISION,), _S, lambda d: d.reason),
]
SELECTORS: Final[list[Overload]] = [
    method(
        "fieldSelector", "authorizer_fieldselector", _R, RESOURCE_CHECK, _with("field_selector")
    ),
    method(
        "labelSelector", "authorizer_labelselector", _R, RESOURCE_CHECK, _with("label_selector")
    ),
]

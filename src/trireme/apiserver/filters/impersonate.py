"""``Impersonate-*`` headers: act as somebody else, where the real user may.

In: an authenticated request. Out: its ``user`` replaced. A mode says who may be impersonated in it
and what the real user has to be allowed to: first the constrained ones, whose verb
``impersonate:MODE`` covers each part of the requested user and ``impersonate-on:MODE:VERB`` what
is then done, at last the verb ``impersonate`` on each part alone. Upstream: apiserver
``endpoints/filters/impersonation``; KEP-5284 (gate ConstrainedImpersonation);
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from msgspec.structs import replace

from trireme.apiserver.authn.contract import AUTHENTICATED, UNAUTHENTICATED
from trireme.apiserver.authn.service_accounts import ALL_GROUP, EXTRA, USER_PREFIX
from trireme.apiserver.authz import requests
from trireme.apiserver.authz.contract import Attributes, Authorizer, answered
from trireme.apiserver.authz.union import UnionAuthorizer
from trireme.apiserver.gates import Gates
from trireme.apiserver.monitoring.access import AccessMetrics
from trireme.apiserver.request import ANONYMOUS, Request, User
from trireme.machinery import errors, gotext, names

_EXTRA_HEADER = "impersonate-extra-"
_GROUP = "authentication.k8s.io"
_NODE_PREFIX = "system:node:"
_MASTERS = "system:masters"
# From so many parts on, the right to all of them is asked for first.
_MANY = 4

# What the real user has to be allowed to; ApiError where not.
Check = Callable[[Attributes], None]


@dataclass(frozen=True)
class Mode:
    """A constrained mode. ``covers(requested, actor)``: whether it is for these two."""

    name: str
    covers: Callable[[User, User], bool]


def _is_associated_node(requested: User, actor: User) -> bool:
    bound = actor.extra.get(f"{EXTRA}node-name", ())
    return _is_arbitrary_node(requested, actor) and bound == (_node(requested.name),)


def _is_arbitrary_node(requested: User, actor: User) -> bool:
    return _is_only_name(requested) and bool(_node(requested.name))


def _is_account(requested: User, actor: User) -> bool:
    return _is_only_name(requested) and _account(requested.name) is not None


def _is_other(requested: User, actor: User) -> bool:
    return not _node(requested.name) and _account(requested.name) is None


ASSOCIATED = Mode(
    "associated-node",
    lambda requested, actor: (
        _account(actor.name) is not None and _is_associated_node(requested, actor)
    ),
)
MODES = (
    ASSOCIATED,
    Mode("arbitrary-node", _is_arbitrary_node),
    Mode("serviceaccount", _is_account),
    Mode("user-info", _is_other),
)


def apply(
    authorizer: UnionAuthorizer,
    gates: Gates,
    metrics: AccessMetrics,
    now: Callable[[], float],
    request: Request,
) -> Awaitable[None] | None:
    """Put the impersonated user in the place of the real one; 400, or 403 where that may not be.
    What to wait for where a webhook has to be asked."""
    if not any([name[:12].lower() == "impersonate-" for name in request.headers]):
        return None
    if authorizer.is_remote:
        session = authorizer.session()
        return answered(lambda: _apply(session, gates, metrics, now, request))
    _apply(authorizer, gates, metrics, now, request)
    return None


def _apply(
    authorizer: Authorizer,
    gates: Gates,
    metrics: AccessMetrics,
    now: Callable[[], float],
    request: Request,
) -> None:
    requested = _read(request)
    if requested is None:
        return
    began = now()
    try:
        mode = _impersonate(authorizer, gates, request, requested)
    except errors.ApiError:
        metrics.impersonated("", False, now() - began)
        raise
    metrics.impersonated(mode, True, now() - began)


def _impersonate(authorizer: Authorizer, gates: Gates, request: Request, requested: User) -> str:
    """Put the requested user in the place of the real one; the mode in which that may be. 403."""
    actor = request.user or ANONYMOUS

    def check(attributes: Attributes) -> None:
        decision = authorizer.authorize(attributes)
        if not decision.allowed:
            raise requests.denied(attributes, decision.reason)

    modes = MODES if gates.on("ConstrainedImpersonation") else ()
    first: errors.ApiError | None = None
    for mode in (mode for mode in modes if mode.covers(requested, actor)):
        try:
            asked = requests.attributes(request, request.info.verb)
            check(replace(asked, verb=f"impersonate-on:{mode.name}:{request.info.verb}"))
            request.user = _constrained(mode, requested, actor, check)
            if request.audit is not None:
                request.audit.constraint = f"impersonate:{mode.name}"
            return mode.name
        except errors.ApiError as error:
            first = first or error
    try:
        request.user = _legacy(requested, actor, check)
    except errors.ApiError as error:
        raise first or error from None
    return "legacy"


def _constrained(mode: Mode, requested: User, actor: User, check: Check) -> User:
    """The user that a mode makes, once every part of it is allowed."""
    ask = Attributes(actor, f"impersonate:{mode.name}", _GROUP, "v1")
    groups, node, account = requested.groups, _node(requested.name), _account(requested.name)
    if node:
        check(replace(ask, resource="nodes", name="*" if mode is ASSOCIATED else node))
        groups = ("system:nodes",)
    elif account is not None:
        check(replace(ask, resource="serviceaccounts", namespace=account[0], name=account[1]))
        groups = _account_groups(account[0])
    else:
        check(replace(ask, resource="users", name=requested.name))
    if requested.uid:
        check(replace(ask, resource="uids", name=requested.uid))
    _check_groups(replace(ask, resource="groups"), requested.groups, check)
    _check_extra(replace(ask, resource="userextras"), requested, check)
    return replace(requested, groups=_with_implied(requested.name, groups))


def _check_groups(ask: Attributes, groups: tuple[str, ...], check: Check) -> None:
    if "" in groups:
        raise requests.denied(ask, "impersonating the empty string group is not allowed")
    if _MASTERS in groups:
        reason = f"impersonating the {_MASTERS} group is not allowed"
        raise requests.denied(replace(ask, name=_MASTERS), reason)
    if len(groups) >= _MANY and _allows(check, replace(ask, name="*")):
        return
    for group in groups:
        check(replace(ask, name=group))


def _check_extra(ask: Attributes, requested: User, check: Check) -> None:
    pairs = [(key, value) for key, values in requested.extra.items() for value in values]
    for key, value in pairs:
        problem = _extra_problem(key, value)
        if problem:
            raise requests.denied(ask, problem)
    if len(pairs) >= _MANY and _allows(check, replace(ask, subresource="*", name="*")):
        return
    for key, value in pairs:
        check(replace(ask, subresource=key, name=value))


def _extra_problem(key: str, value: str) -> str:
    if not key:
        return "impersonating the empty string key in extra is not allowed"
    syntax = names.is_domain_prefixed_path(key)
    if syntax:
        reason = f"extra.key: Invalid value: {gotext.quote(key)}: {syntax[0]}"
        return f"impersonating an invalid key in extra is not allowed: {reason}"
    return "" if value else "impersonating the empty string value in extra is not allowed"


def _allows(check: Check, attributes: Attributes) -> bool:
    try:
        check(attributes)
    except errors.ApiError:
        return False
    return True


def _legacy(requested: User, actor: User, check: Check) -> User:
    """The user, once the verb ``impersonate`` is allowed on every part of it."""
    ask, groups = Attributes(actor, "impersonate", "", "v1"), requested.groups
    account = _account(requested.name)
    if account is not None:
        check(replace(ask, resource="serviceaccounts", namespace=account[0], name=account[1]))
        groups = groups or _account_groups(account[0])
    else:
        check(replace(ask, resource="users", name=requested.name))
    if requested.uid:
        check(replace(ask, group=_GROUP, resource="uids", name=requested.uid))
    for group in requested.groups:
        check(replace(ask, resource="groups", name=group))
    for key, values in requested.extra.items():
        for value in values:
            extra = replace(ask, group=_GROUP, resource="userextras", subresource=key, name=value)
            check(extra)
    return replace(requested, groups=_with_implied(requested.name, groups))


def _read(request: Request) -> User | None:
    """Who the headers ask to be; None where they do not."""
    user, groups, uid = "", [], ""
    extra: dict[str, tuple[str, ...]] = {}
    for name, value in _headers(request):
        if name == "impersonate-user":
            user = user or value
        elif name == "impersonate-group":
            groups.append(value)
        elif name == "impersonate-uid":
            uid = uid or value
        elif name.startswith(_EXTRA_HEADER):
            key = unquote(name.removeprefix(_EXTRA_HEADER))
            extra[key] = (*extra.get(key, ()), value)
    if user:
        return User(user, uid, tuple(groups), extra)
    if not (groups or extra or uid):
        return None
    printed = f'Name:"", UID:{gotext.quote(uid)}, Groups:{_strings(groups)}, Extra:{_map(extra)}'
    raise errors.bad_request(
        f"requested &user.DefaultInfo{{{printed}}} without impersonating a user name"
    )


def _headers(request: Request) -> Iterator[tuple[str, str]]:
    for name, value in request.headers.items():
        lower = name.lower()
        if not lower.startswith("impersonate-"):
            continue
        if not (name.isascii() and value.isascii()):
            # Bytes that are no UTF-8 arrive as surrogates: Go's JSON has U+FFFD for them.
            lower, value = _valid_utf8(lower), _valid_utf8(value)
        yield lower, value


def _valid_utf8(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _strings(values: list[str] | tuple[str, ...]) -> str:
    """As Go's ``%#v`` prints a list of strings."""
    return f"[]string{{{', '.join(map(gotext.quote, values))}}}" if values else "[]string(nil)"


def _map(extra: dict[str, tuple[str, ...]]) -> str:
    if not extra:
        return "map[string][]string(nil)"
    pairs = (f"{gotext.quote(key)}:{_strings(extra[key])}" for key in sorted(extra))
    return f"map[string][]string{{{', '.join(pairs)}}}"


def _with_implied(user: str, groups: tuple[str, ...]) -> tuple[str, ...]:
    if user == ANONYMOUS.name:
        implied = UNAUTHENTICATED
    elif UNAUTHENTICATED in groups:
        return groups
    else:
        implied = AUTHENTICATED
    return groups if implied in groups else (*groups, implied)


def _is_only_name(user: User) -> bool:
    return not (user.uid or user.groups or user.extra)


def _node(user: str) -> str:
    """The node whose user name this is, or nothing."""
    name = user.removeprefix(_NODE_PREFIX)
    is_node = user.startswith(_NODE_PREFIX) and not names.is_dns1123_subdomain(name)
    return name if is_node else ""


def _account(user: str) -> tuple[str, str] | None:
    """Namespace and name of a service account's user name."""
    if not user.startswith(USER_PREFIX):
        return None
    namespace, colon, name = user.removeprefix(USER_PREFIX).partition(":")
    if not colon or names.is_dns1123_label(namespace) or names.is_dns1123_subdomain(name):
        return None
    return namespace, name


def _account_groups(namespace: str) -> tuple[str, ...]:
    return (ALL_GROUP, f"{ALL_GROUP}:{namespace}")

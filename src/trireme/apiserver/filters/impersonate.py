"""``Impersonate-*`` headers: act as somebody else, where the real user may.

In: an authenticated request. Out: its ``user`` replaced. Every part of the wanted identity (user or
service account, each group, each extra value, the UID) takes the verb ``impersonate`` on it. The
constrained verbs of KEP-5284 are not supported: a user who holds only those is refused.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from trireme.apiserver.authn.service_accounts import ALL_GROUP, USER_PREFIX
from trireme.apiserver.authn.union import AUTHENTICATED, UNAUTHENTICATED
from trireme.apiserver.authz.contract import Attributes
from trireme.apiserver.request import ANONYMOUS, Request, User
from trireme.apiserver.server import ApiServer
from trireme.machinery import errors, gotext, names

EXTRA = "impersonate-extra-"
_AUTHENTICATION = "authentication.k8s.io"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Who the headers ask to be."""

    user: str
    groups: tuple[str, ...]
    extra: dict[str, tuple[str, ...]]
    uid: str


def apply(server: ApiServer, request: Request) -> None:
    """Put the impersonated user in the place of the real one; 400, or 403 where that may not be."""
    wanted = _read(request)
    if wanted is None:
        return
    actor = request.user or ANONYMOUS
    for part in _parts(wanted):
        question = Attributes(user=actor, verb="impersonate", **part)
        decision = server.authorizer.authorize(question)
        if not decision.allowed:
            raise errors.access_denied(
                actor.name, "impersonate", **_shown(part), reason=decision.reason
            )
    request.user = _become(wanted)


def _read(request: Request) -> _Wanted | None:
    user, groups, uid = "", [], ""
    extra: dict[str, tuple[str, ...]] = {}
    for name, value in request.headers.items():
        lower = name.lower()
        if not lower.startswith("impersonate-"):
            continue
        if not (name.isascii() and value.isascii()):
            # Bytes that are no UTF-8 arrive as surrogates: Go's JSON has U+FFFD for them.
            lower, value = _whole(lower), _whole(value)
        if lower == "impersonate-user":
            user = user or value
        elif lower == "impersonate-group":
            groups.append(value)
        elif lower == "impersonate-uid":
            uid = uid or value
        elif lower.startswith(EXTRA):
            key = unquote(lower.removeprefix(EXTRA))
            extra[key] = (*extra.get(key, ()), value)
    if not user:
        if not (groups or extra or uid):
            return None
        asked = [f"group {gotext.quote(item)}" for item in groups]
        asked += [f"extra {gotext.quote(item)}" for item in extra]
        asked += [f"uid {gotext.quote(uid)}"] if uid else []
        raise errors.bad_request(f"requested [{', '.join(asked)}] without impersonating a user")
    return _Wanted(user, tuple(groups), extra, uid)


def _whole(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _parts(wanted: _Wanted) -> Iterator[dict[str, str]]:
    """What the real user has to be allowed to impersonate, one by one."""
    account = _account(wanted.user)
    if account is not None:
        yield {"resource": "serviceaccounts", "namespace": account[0], "name": account[1]}
    else:
        yield {"resource": "users", "name": wanted.user}
    for group in wanted.groups:
        yield {"resource": "groups", "name": group}
    for key, values in wanted.extra.items():
        for value in values:
            yield {
                "group": _AUTHENTICATION,
                "version": "v1",
                "resource": "userextras",
                "subresource": key,
                "name": value,
            }
    if wanted.uid:
        yield {
            "group": _AUTHENTICATION,
            "version": "v1",
            "resource": "uids",
            "name": wanted.uid,
        }


def _become(wanted: _Wanted) -> User:
    groups = wanted.groups
    account = _account(wanted.user)
    if account is not None and not groups:
        groups = (ALL_GROUP, f"{ALL_GROUP}:{account[0]}")
    if wanted.user == ANONYMOUS.name:
        if UNAUTHENTICATED not in groups:
            groups = (*groups, UNAUTHENTICATED)
    elif AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
        groups = (*groups, AUTHENTICATED)
    return User(wanted.user, wanted.uid, groups, wanted.extra)


def _account(user: str) -> tuple[str, str] | None:
    """Namespace and name of a service account's user name."""
    if not user.startswith(USER_PREFIX):
        return None
    namespace, colon, name = user.removeprefix(USER_PREFIX).partition(":")
    if not colon or names.is_dns1123_label(namespace) or names.is_dns1123_subdomain(name):
        return None
    return namespace, name


def _shown(part: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in part.items() if key != "version"}

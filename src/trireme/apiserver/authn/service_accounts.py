"""Service-account tokens: what their claims say, and whether it still holds.

In: a bearer token and its target audiences; the stored objects that it is bound to. Out:
the user, or ``Rejected``. The account, and the pod, secret or node that the token is bound to, must
still be there with the same UID. Callers: ``union`` and TokenReview; ``subresources/token`` makes
the claims. Upstream: pkg/serviceaccount/claims.go;
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/.
"""

from __future__ import annotations

from typing import Any

import msgspec

from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.secret import Secret
from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.apiserver.authn.contract import Identity, Rejected
from trireme.apiserver.authn.keys import TokenKeys, key_of
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.request import User
from trireme.apiserver.settings.signing import TokenSigner
from trireme.kit.clock import Clock
from trireme.machinery import gotext, time

# How far clocks may be apart, and how long a deleted object's tokens still pass: seconds.
LEEWAY = 60.0
USER_PREFIX = "system:serviceaccount:"
ALL_GROUP = "system:serviceaccounts"
EXTRA = "authentication.kubernetes.io/"
CREDENTIAL_ID = f"{EXTRA}credential-id"
_INVALIDATED = "service account token has been invalidated"


class Ref(msgspec.Struct, omit_defaults=True):
    """An object that a token names."""

    name: str = ""
    uid: str = ""


class Kubernetes(msgspec.Struct, omit_defaults=True):
    """The claims under ``kubernetes.io``; times are seconds since 1970."""

    namespace: str = ""
    serviceaccount: Ref = msgspec.field(default_factory=Ref)
    pod: Ref | None = None
    secret: Ref | None = None
    node: Ref | None = None
    warnafter: int | None = None


class Claims(msgspec.Struct, omit_defaults=True):
    """What a token says; times are seconds since 1970."""

    iss: str = ""
    sub: str = ""
    aud: list[str] | str = msgspec.field(default_factory=list)
    exp: float | None = None
    iat: float | None = None
    nbf: float | None = None
    jti: str = ""
    kubernetes: Kubernetes = msgspec.field(name="kubernetes.io", default_factory=Kubernetes)


class ServiceAccountTokens:
    """Authenticates by signed tokens. Nothing is remembered here; ``union`` keeps what passed."""

    def __init__(self, keys: TokenKeys, reader: Reader, clock: Clock) -> None:
        self._keys = keys
        self._reader = reader
        self._clock = clock

    def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """The account that a token stands for; None when it is not one of our tokens."""
        plain = self._keys.claims(token)
        if plain is None:
            return None
        try:
            claims = msgspec.convert(plain, Claims)
        except msgspec.ValidationError as problem:
            raise Rejected(f"service account token claims could not be read: {problem}") from None
        made_for = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if not made_for:
            made_for = list(self._keys.audiences)
        matching = tuple(item for item in made_for if item in audiences)
        if not matching:
            raise Rejected(
                f"token audiences {gotext.quotes(made_for)} is invalid for the target audiences "
                f"{gotext.quotes(audiences)}"
            )
        now = self._clock.now()
        _check_times(claims, now)
        self._check_bound(claims.kubernetes, now)
        return Identity(user(claims), matching)

    def _check_bound(self, claims: Kubernetes, now: float) -> None:
        namespace, account = claims.namespace, claims.serviceaccount
        found = self._reader.get(ServiceAccount, namespace, account.name)
        if found is None:
            raise Rejected(f'serviceaccounts "{account.name}" not found')
        if found.metadata.uid != account.uid:
            uid = found.metadata.uid
            raise Rejected(f"service account UID ({uid}) does not match claim ({account.uid})")
        if _long_deleted(found, now):
            raise Rejected(f"service account {namespace}/{account.name} has been deleted")
        if claims.secret is not None:
            self._check_ref(Secret, namespace, claims.secret, now)
        if claims.pod is not None:
            self._check_ref(Pod, namespace, claims.pod, now)
        elif claims.node is not None:
            # A pod's token outlives its node's object: the node is there for information.
            self._check_ref(Node, "", claims.node, now)

    def _check_ref(self, kind: type, namespace: str, ref: Ref, now: float) -> None:
        found = self._reader.get(kind, namespace, ref.name)
        if found is None or _long_deleted(found, now):
            raise Rejected(_INVALIDATED)
        if found.metadata.uid != ref.uid:
            what = kind.__name__.lower() if kind is Pod else kind.__name__
            raise Rejected(
                f"{what} UID ({found.metadata.uid}) does not match service account "
                f"{kind.__name__.lower()} ref claim ({ref.uid})"
            )


class UnknownKeys:
    """Looks at a signer elsewhere for the key of a token that names one that is not known yet."""

    def __init__(self, signer: TokenSigner, tokens: ServiceAccountTokens) -> None:
        self._signer = signer
        self._tokens = tokens

    async def authenticate(self, token: str, audiences: tuple[str, ...]) -> Identity | None:
        """The account, once the key has been fetched."""
        key_id = key_of(token)
        if not key_id or key_id in self._signer.keys or not await self._signer.look_for(key_id):
            return None
        return self._tokens.authenticate(token, audiences)

    async def close(self) -> None:
        await self._signer.close()


def user(claims: Claims) -> User:
    """The user that a checked token stands for."""
    inside = claims.kubernetes
    extra: dict[str, tuple[str, ...]] = {}
    if inside.pod is not None and inside.pod.name and inside.pod.uid:
        extra[f"{EXTRA}pod-name"] = (inside.pod.name,)
        extra[f"{EXTRA}pod-uid"] = (inside.pod.uid,)
    if claims.jti:
        extra[CREDENTIAL_ID] = (f"JTI={claims.jti}",)
    if inside.node is not None and inside.node.name:
        extra[f"{EXTRA}node-name"] = (inside.node.name,)
        if inside.node.uid:
            extra[f"{EXTRA}node-uid"] = (inside.node.uid,)
    account = inside.serviceaccount
    return User(
        f"{USER_PREFIX}{inside.namespace}:{account.name}",
        account.uid,
        (ALL_GROUP, f"{ALL_GROUP}:{inside.namespace}"),
        extra,
    )


def _check_times(claims: Claims, now: float) -> None:
    if claims.nbf is not None and now + LEEWAY < claims.nbf:
        raise Rejected("service account token is not valid yet")
    if claims.exp is not None and now - LEEWAY > claims.exp:
        raise Rejected("service account token has expired")
    if claims.iat is not None and now + LEEWAY < claims.iat:
        raise Rejected("service account token is issued in the future")


def _long_deleted(obj: Any, now: float) -> bool:
    deleted = obj.metadata.deletionTimestamp
    return deleted is not None and time.parse(deleted) < now - LEEWAY

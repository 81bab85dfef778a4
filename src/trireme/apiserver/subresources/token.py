"""``serviceaccounts/<name>/token``: a signed token for an account, bound to what it names.

In: a TokenRequest. Out: the same with a token and its end in ``status``. A token bound to a pod, a
secret or a node dies with it. A pod's token of 3607 seconds, which is what every pod gets, is in
truth good for a year, and says from when on its use is a mistake.
Upstream: pkg/registry/core/serviceaccount/storage/token.go; KEP-1205, KEP-2799, KEP-4193.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from trireme.api.authentication.v1 import tokenrequest
from trireme.api.authentication.v1.tokenrequest import (
    BoundObjectReference,
    TokenRequest,
    TokenRequestStatus,
)
from trireme.api.core.v1.node_types import Node
from trireme.api.core.v1.pod.pod import Pod
from trireme.api.core.v1.secret import Secret
from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.apiserver.authn import service_accounts
from trireme.apiserver.authn.service_accounts import Claims, Kubernetes, Ref
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import SubresourceHandler
from trireme.apiserver.reply import form
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
from trireme.apiserver.server import ApiServer
from trireme.apiserver.verbs import body, write
from trireme.machinery import errors, field, gotext, time
from trireme.machinery.schema import normalise

# What pods ask for, and what they are given so that old clients that never read anew go on.
POD_SECONDS = 3607
EXTENDED_SECONDS = 365 * 24 * 3600
_KIND = "TokenRequest.authentication.k8s.io"


@dataclass(slots=True)
class _Bound:
    """What a token is bound to; ``node`` beside ``pod`` is where the pod runs."""

    pod: Ref | None = None
    secret: Ref | None = None
    node: Ref | None = None


async def create(server: ApiServer, request: Request, endpoint: Endpoint) -> Reply:
    """Sign a token."""
    keys = server.authenticator.keys
    if not keys.can_sign:
        raise errors.method_not_supported("serviceaccounts/token", "create")
    info, call = request.info, write.call_of(request)
    wanted: TokenRequest = body.read_as(request, TokenRequest)
    normalise.normalise(wanted)
    # Before the audiences are filled in: admission judges which of them were asked for.
    await server.registry.connect(endpoint, "token", info.namespace, info.name, call.user, wanted)
    account = server.reader.get(ServiceAccount, info.namespace, info.name)
    _check_metadata(wanted, info.namespace, info.name)
    if account is None:
        raise errors.not_found("serviceaccounts", info.name)
    _fill_metadata(wanted, account)
    if not wanted.spec.audiences:
        wanted.spec.audiences = list(keys.audiences)
    now = server.env.clock.now()
    wanted.metadata.creationTimestamp = time.format(now)
    wanted.status = TokenRequestStatus()
    problems = tokenrequest.validate(wanted)
    if problems:
        raise errors.invalid(_KIND, "", problems)
    bound = _resolve(server.reader, wanted.spec.boundObjectRef, account)
    seconds = wanted.spec.expirationSeconds or 0
    warn_after = None
    pod_like = bound.pod is not None and seconds == POD_SECONDS
    if pod_like and set(wanted.spec.audiences) <= set(keys.audiences):
        seconds, warn_after = EXTENDED_SECONDS, int(now) + seconds
    claims = Claims(
        iss=keys.issuer,
        sub=f"{service_accounts.USER_PREFIX}{info.namespace}:{info.name}",
        aud=wanted.spec.audiences,
        exp=int(now) + seconds,
        iat=int(now),
        nbf=int(now),
        jti=server.env.uid(),
        kubernetes=Kubernetes(
            namespace=info.namespace,
            serviceaccount=Ref(info.name, account.metadata.uid),
            pod=bound.pod,
            secret=bound.secret,
            node=bound.node,
            warnafter=warn_after,
        ),
    )
    wanted.status.token = keys.sign(msgspec.to_builtins(claims))
    wanted.status.expirationTimestamp = time.format(now + (wanted.spec.expirationSeconds or 0))
    return form.unstored(request, wanted)


def _check_metadata(wanted: TokenRequest, namespace: str, name: str) -> None:
    meta = wanted.metadata
    for attribute, url in (("name", name), ("namespace", namespace)):
        said = getattr(meta, attribute)
        if said and said != url:
            why = f"must match the service account {attribute} if specified"
            problem = field.invalid(field.path("metadata", attribute), said, why)
            raise errors.invalid(_KIND, name, [problem])


def _fill_metadata(wanted: TokenRequest, account: ServiceAccount) -> None:
    meta, owner = wanted.metadata, account.metadata
    if meta.uid and meta.uid != owner.uid:
        why = (
            f"the UID in the token request ({meta.uid}) does not match the UID of the service "
            f"account ({owner.uid})"
        )
        raise errors.conflict(_KIND, owner.name, why)
    meta.name, meta.namespace, meta.uid = owner.name, owner.namespace, owner.uid


def _resolve(
    reader: Reader, wanted: BoundObjectReference | None, account: ServiceAccount
) -> _Bound:
    """Look the bound object up: it must be there, be the one that is meant, and use the account."""
    bound = _Bound()
    if wanted is None:
        return bound
    namespace = account.metadata.namespace
    kinds: dict[str, type[Pod | Node | Secret]] = {"Pod": Pod, "Node": Node, "Secret": Secret}
    kind = kinds.get(wanted.kind)
    if wanted.apiVersion not in ("v1", "") or kind is None:
        group, _, version = wanted.apiVersion.rpartition("/")
        shown = f"{group}/{version}, Kind={wanted.kind}"
        raise errors.bad_request(f"cannot bind token to object of type {shown}")
    found = reader.get(kind, "" if kind is Node else namespace, wanted.name)
    if found is None:
        raise errors.not_found(f"{wanted.kind.lower()}s", wanted.name)
    if isinstance(found, Pod) and found.spec.serviceAccountName != account.metadata.name:
        raise errors.bad_request(
            f"cannot bind token for serviceaccount {gotext.quote(account.metadata.name)} to pod "
            "running with different serviceaccount name."
        )
    uid = found.metadata.uid
    if wanted.uid and wanted.uid != uid:
        why = (
            f"the UID in the bound object reference ({wanted.uid}) does not match the UID in "
            "record. The object might have been deleted and then recreated"
        )
        raise errors.conflict(wanted.kind, wanted.name, why)
    ref = Ref(wanted.name, uid)
    setattr(bound, wanted.kind.lower(), ref)
    if isinstance(found, Pod) and found.spec.nodeName:
        node = reader.get(Node, "", found.spec.nodeName)
        bound.node = Ref(found.spec.nodeName, "" if node is None else node.metadata.uid)
    return bound


HANDLER = SubresourceHandler("serviceaccounts", "token", {"create": create})

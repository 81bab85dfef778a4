"""``serviceaccounts/<name>/token``: a signed token for an account, bound to what it names.

In: a TokenRequest. Out: the same with a token and its end in ``status``. A token bound to a pod, a
secret or a node dies with it. A pod's token of 3607 seconds, which is what every pod gets, is
valid for a year; its claim ``warnafter`` says when it should have been renewed.
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
from trireme.apiserver.authn.contract import SignerError
from trireme.apiserver.authn.service_accounts import Claims, Kubernetes, Ref
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.context import ServerContext
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.handlers import SubresourceHandler
from trireme.apiserver.reply import form
from trireme.apiserver.reply.reply import Reply
from trireme.apiserver.request import Request
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


async def create(context: ServerContext, request: Request, endpoint: Endpoint) -> Reply:
    """Sign a token."""
    keys = context.authenticator.keys
    if not keys.can_sign:
        raise errors.method_not_supported("serviceaccounts/token", "create")
    info, call = request.info, write.call_of(request)
    req: TokenRequest = body.read_as(request, TokenRequest)
    normalise.normalise(req)
    # Before the audiences are filled in: admission checks which of them were asked for.
    await context.registry.admit("CREATE", endpoint, "token", info.namespace, info.name, req, call)
    account = context.reader.get(ServiceAccount, info.namespace, info.name)
    _check_metadata(req, info.namespace, info.name)
    if account is None:
        raise errors.not_found("serviceaccounts", info.name)
    _fill_metadata(req, account)
    if not req.spec.audiences:
        req.spec.audiences = list(keys.audiences)
    now = context.env.clock.now()
    req.metadata.creationTimestamp = time.format(now)
    req.status = TokenRequestStatus()
    problems = tokenrequest.validate(req)
    if problems:
        raise errors.invalid(_KIND, "", problems)
    bound = _resolve(context.reader, req.spec.boundObjectRef, account)
    settings = context.config.service_accounts
    seconds = req.spec.expirationSeconds or 0
    longest = settings.max_expiration or keys.max_expiration
    if longest and seconds > longest:
        request.warnings.append(
            f"requested expiration of {seconds} seconds shortened to {longest} seconds"
        )
        seconds = req.spec.expirationSeconds = longest
    warn_after = None
    pod_like = settings.extend_expiration and bound.pod is not None and seconds == POD_SECONDS
    if pod_like and set(req.spec.audiences) <= set(keys.audiences):
        warn_after = int(now) + seconds
        seconds = min(EXTENDED_SECONDS, keys.max_expiration or EXTENDED_SECONDS)
    claims = Claims(
        iss=keys.issuer,
        sub=f"{service_accounts.USER_PREFIX}{info.namespace}:{info.name}",
        aud=req.spec.audiences,
        exp=int(now) + seconds,
        iat=int(now),
        nbf=int(now),
        jti=context.env.uid(),
        kubernetes=Kubernetes(
            namespace=info.namespace,
            serviceaccount=Ref(info.name, account.metadata.uid),
            pod=bound.pod,
            secret=bound.secret,
            node=bound.node,
            warnafter=warn_after,
        ),
    )
    try:
        req.status.token = await keys.signed(msgspec.to_builtins(claims))
    except SignerError as error:
        raise errors.internal_error(f"failed to generate token: {error}") from None
    req.status.expirationTimestamp = time.format(now + (req.spec.expirationSeconds or 0))
    return form.unstored(request, req)


def _check_metadata(req: TokenRequest, namespace: str, name: str) -> None:
    meta = req.metadata
    for attribute, url in (("name", name), ("namespace", namespace)):
        given = getattr(meta, attribute)
        if given and given != url:
            message = f"must match the service account {attribute} if specified"
            problem = field.invalid(field.path("metadata", attribute), given, message)
            raise errors.invalid(_KIND, name, [problem])


def _fill_metadata(req: TokenRequest, account: ServiceAccount) -> None:
    meta, owner = req.metadata, account.metadata
    if meta.uid and meta.uid != owner.uid:
        message = (
            f"the UID in the token request ({meta.uid}) does not match the UID of the service "
            f"account ({owner.uid})"
        )
        raise errors.conflict(_KIND, owner.name, message)
    meta.name, meta.namespace, meta.uid = owner.name, owner.namespace, owner.uid


def _resolve(reader: Reader, req: BoundObjectReference | None, account: ServiceAccount) -> _Bound:
    """Look the bound object up: it must be there, be the one that is meant, and use the account."""
    bound = _Bound()
    if req is None:
        return bound
    namespace = account.metadata.namespace
    kinds: dict[str, type[Pod | Node | Secret]] = {"Pod": Pod, "Node": Node, "Secret": Secret}
    kind = kinds.get(req.kind)
    if req.apiVersion not in ("v1", "") or kind is None:
        group, _, version = req.apiVersion.rpartition("/")
        printed = f"{group}/{version}, Kind={req.kind}"
        raise errors.bad_request(f"cannot bind token to object of type {printed}")
    found = reader.get(kind, "" if kind is Node else namespace, req.name)
    if found is None:
        raise errors.not_found(f"{req.kind.lower()}s", req.name)
    if isinstance(found, Pod) and found.spec.serviceAccountName != account.metadata.name:
        raise errors.bad_request(
            f"cannot bind token for serviceaccount {gotext.quote(account.metadata.name)} to pod "
            "running with different serviceaccount name."
        )
    uid = found.metadata.uid
    if req.uid and req.uid != uid:
        message = (
            f"the UID in the bound object reference ({req.uid}) does not match the UID in "
            "record. The object might have been deleted and then recreated"
        )
        raise errors.conflict(req.kind, req.name, message)
    ref = Ref(req.name, uid)
    setattr(bound, req.kind.lower(), ref)
    if isinstance(found, Pod) and found.spec.nodeName:
        node = reader.get(Node, "", found.spec.nodeName)
        bound.node = Ref(found.spec.nodeName, "" if node is None else node.metadata.uid)
    return bound


HANDLER = SubresourceHandler("serviceaccounts", "token", {"create": create})

"""Secrets of type kubernetes.io/service-account-token are filled, and go with their account.

In: service accounts and such Secrets. Out: token, CA and namespace in the Secret; deletions. Run by
``manager`` where it has the key that signs tokens. Upstream:
pkg/controller/serviceaccount/tokens_controller.go.
"""

from __future__ import annotations

from msgspec.structs import replace

from trireme.api.core.v1.secret import Secret
from trireme.api.core.v1.serviceaccount import ServiceAccount
from trireme.client.resource_interface import DELETED
from trireme.controllers.definition import ControllerContext, Definition
from trireme.domain import service_account_tokens as tokens
from trireme.kit import jws
from trireme.machinery import errors, meta
from trireme.runtime import triggers
from trireme.runtime.controller import Controller
from trireme.runtime.keys import Key


def make(context: ControllerContext) -> Controller | None:
    """Reconciles token Secrets; None without a key to sign with."""
    pem = context.settings.service_account_key
    if not pem:
        return None
    key_pair = jws.SigningKey(pem)
    authority = context.settings.root_ca.encode()
    secrets = context.informers.of(Secret, field_selector=f"type={tokens.TYPE}")
    accounts = context.informers.of(ServiceAccount)
    client = context.client

    async def reconcile(key: Key) -> None:
        secret = secrets.get(*key)
        name = secret.metadata.annotations.get(tokens.NAME, "") if secret is not None else ""
        if secret is None or not name or secret.metadata.deletionTimestamp is not None:
            return
        account = await _account(key.namespace, name)
        if account is None or not tokens.is_of(secret, account):
            # An account of the same name is another one.
            await _delete(secret)
            return
        desired = _filled(secret, account)
        if desired is not None:
            await client.update(desired)

    async def _account(namespace: str, name: str) -> ServiceAccount | None:
        known = accounts.get(namespace, name)
        if known is not None:
            return known
        try:
            return await client.get(ServiceAccount, name, namespace)
        except errors.ApiError as error:
            if errors.is_not_found(error):
                return None
            raise

    def _filled(secret: Secret, account: ServiceAccount) -> Secret | None:
        """The Secret with what it lacks; None when it lacks nothing."""
        data = dict(secret.data)
        if authority:
            data[tokens.CA] = authority
        if not data.get(tokens.NAMESPACE):
            data[tokens.NAMESPACE] = secret.metadata.namespace.encode()
        if not data.get(tokens.TOKEN):
            claims = tokens.claims(account, secret.metadata.name)
            data[tokens.TOKEN] = key_pair.sign(claims).encode()
        if data == secret.data:
            return None
        annotations = secret.metadata.annotations | {
            tokens.NAME: account.metadata.name,
            tokens.UID: account.metadata.uid,
        }
        metadata = replace(secret.metadata, annotations=annotations)
        return replace(secret, metadata=metadata, data=data)

    async def _delete(secret: Secret) -> None:
        where = secret.metadata
        options = meta.DeleteOptions(preconditions=meta.Preconditions(uid=where.uid))
        try:
            await client.delete(Secret, where.name, where.namespace, options)
        except errors.ApiError as error:
            if not errors.is_not_found(error) and not errors.is_conflict(error):
                raise

    gone = triggers.only(
        lambda event: event.type == DELETED,
        lambda event: [
            Key(event.key.namespace, secret.metadata.name)
            for secret in secrets.list(event.key.namespace)
            if secret.metadata.annotations.get(tokens.NAME) == event.key.name
        ],
    )
    return Controller(
        "serviceaccount_tokens_service",
        reconcile,
        context.env,
        triggers=[(secrets, triggers.own()), (accounts, gone)],
        workers=context.settings.workers.serviceaccount_token,
    )


CONTROLLER = Definition("serviceaccount-token-controller", make, as_manager=True)

"""Bootstrap tokens that have ended are deleted.

In: Secrets of type bootstrap.kubernetes.io/token. Out: their deletion. Run by ``manager``, off by
default. Upstream: pkg/controller/bootstrap/tokencleaner.go;
https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/.
"""

from __future__ import annotations

from trireme.api.core.v1.secret import Secret
from trireme.controllers.definition import ControllerContext, Definition
from trireme.domain import bootstrap_tokens as tokens
from trireme.machinery import errors, meta
from trireme.runtime import triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.keys import Key


def make(context: ControllerContext) -> Controller:
    """Reconciles each token when it changes and when it ends."""
    secrets = context.informers.of(Secret, tokens.NAMESPACE, field_selector=f"type={tokens.TYPE}")

    async def reconcile(key: Key) -> After | None:
        secret = secrets.get(*key)
        ends = tokens.expires_at(secret) if secret is not None else None
        if secret is None or ends is None or secret.metadata.deletionTimestamp is not None:
            return None
        now = context.env.clock.now()
        if ends > now:
            return After(ends - now)
        options = meta.DeleteOptions(preconditions=meta.Preconditions(uid=secret.metadata.uid))
        try:
            await context.client.delete(Secret, key.name, key.namespace, options)
        except errors.ApiError as error:
            if not errors.is_not_found(error) and not errors.is_conflict(error):
                raise
        return None

    return Controller("token_cleaner", reconcile, context.env, triggers=[(secrets, triggers.own())])


CONTROLLER = Definition(
    "token-cleaner-controller", make, account="token-cleaner", on_by_default=False
)

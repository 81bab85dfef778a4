"""The ConfigMap cluster-info, signed with each bootstrap token: who has one can trust it.

In: the ConfigMap in kube-public, and bootstrap tokens. Out: a detached JSON Web Signature of its
kubeconfig for each token. Run by ``manager``, off by default. Upstream:
pkg/controller/bootstrap/bootstrapsigner.go;
https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#configmap-signing.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from trireme.api.core.v1.configmap import ConfigMap
from trireme.api.core.v1.secret import Secret
from trireme.controllers.definition import ControllerContext, Definition
from trireme.domain import bootstrap_tokens as tokens
from trireme.kit import jws
from trireme.machinery import errors
from trireme.runtime import triggers
from trireme.runtime.controller import After, Controller
from trireme.runtime.keys import Key

INFO = Key("kube-public", "cluster-info")
CONTENT = "kubeconfig"
SIGNATURE = "jws-kubeconfig-"


def make(context: ControllerContext) -> Controller:
    """Signs anew when the ConfigMap or a token changes, or a token ends."""
    selected = f"metadata.name={INFO.name}"
    infos = context.informers.of(ConfigMap, INFO.namespace, field_selector=selected)
    secrets = context.informers.of(Secret, tokens.NAMESPACE, field_selector=f"type={tokens.TYPE}")
    clock = context.env.clock

    async def reconcile(_key: Key) -> After | None:
        info = infos.get(*INFO)
        if info is None or CONTENT not in info.data:
            return None
        now = clock.now()
        desired = compute_data(info.data, secrets.list(), now)
        if desired != info.data:
            try:
                await context.client.update(replace(info, data=desired))
            except errors.ApiError as error:
                if not errors.is_not_found(error):
                    raise
        ends = [at for at in map(tokens.expires_at, secrets.list()) if at is not None and at > now]
        return After(min(ends) - now) if ends else None

    return Controller(
        "bootstrap_signer_queue",
        reconcile,
        context.env,
        triggers=[(infos, triggers.always(INFO)), (secrets, triggers.always(INFO))],
    )


def compute_data(data: dict[str, str], secrets: Iterable[Secret], now: float) -> dict[str, str]:
    """The ConfigMap's data with a signature for each token that is for signing, and no other."""
    kept = {key: value for key, value in data.items() if not key.startswith(SIGNATURE)}
    for secret in secrets:
        token = tokens.signing(secret, now)
        if token is not None:
            kept[SIGNATURE + token[0]] = jws.detached(data[CONTENT], *token)
    return kept


CONTROLLER = Definition(
    "bootstrap-signer-controller", make, account="bootstrap-signer", on_by_default=False
)

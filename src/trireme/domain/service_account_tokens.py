"""Tokens that live in Secrets: what they say, and how their Secrets are marked. Pure.

Used by the API server, which accepts them, and by the controllers that make and clean them up.
Upstream: pkg/serviceaccount/legacy.go;
https://kubernetes.io/docs/concepts/security/service-accounts/#manually-create-a-service-account-token.
"""

from __future__ import annotations

import datetime
from typing import Any, Final

from trireme.api.core.v1.secret import Secret
from trireme.api.core.v1.serviceaccount import ServiceAccount

TYPE: Final = "kubernetes.io/service-account-token"
NAME: Final = "kubernetes.io/service-account.name"
UID: Final = "kubernetes.io/service-account.uid"
TOKEN, CA, NAMESPACE = "token", "ca.crt", "namespace"
LAST_USED: Final = "kubernetes.io/legacy-token-last-used"
INVALID_SINCE: Final = "kubernetes.io/legacy-token-invalid-since"
# Since when the use of tokens is written down.
TRACKING: Final = ("kube-system", "kube-apiserver-legacy-service-account-token-tracking")
SINCE: Final = "since"
ISSUER: Final = "kubernetes/serviceaccount"
USER: Final = "system:serviceaccount:"
CLAIM: Final = "kubernetes.io/serviceaccount/"
CLAIM_NAMESPACE: Final = f"{CLAIM}namespace"
CLAIM_SECRET: Final = f"{CLAIM}secret.name"
CLAIM_ACCOUNT: Final = f"{CLAIM}service-account.name"
CLAIM_UID: Final = f"{CLAIM}service-account.uid"


def claims(account: ServiceAccount, secret: str) -> dict[str, Any]:
    """What the token in a Secret says; it does not expire."""
    meta = account.metadata
    return {
        "iss": ISSUER,
        "sub": f"{USER}{meta.namespace}:{meta.name}",
        CLAIM_NAMESPACE: meta.namespace,
        CLAIM_SECRET: secret,
        CLAIM_ACCOUNT: meta.name,
        CLAIM_UID: meta.uid,
    }


def is_of(secret: Secret, account: ServiceAccount) -> bool:
    """Whether the Secret is a token of this very account."""
    annotations = secret.metadata.annotations
    uid = annotations.get(UID, "")
    return (
        secret.type == TYPE
        and secret.metadata.namespace == account.metadata.namespace
        and annotations.get(NAME) == account.metadata.name
        and (not uid or uid == account.metadata.uid)
    )


def date(moment: float) -> str:
    """The day of a moment (epoch seconds), as labels carry it."""
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).strftime("%Y-%m-%d")


def day(text: str) -> float | None:
    """When the day of a label begins; None where it is none."""
    try:
        parsed = datetime.datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return None
    return parsed.replace(tzinfo=datetime.UTC).timestamp()

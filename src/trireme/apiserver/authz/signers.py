"""May a user approve, sign or attest for a signer of certificates?

In: who, which of these, and the signer's name. Out: yes or no. A permission for all signers of a
domain counts as well. Called by: admission plugins. Upstream: pkg/certauthorization.
"""

from __future__ import annotations

from trireme.apiserver.authz.contract import Attributes, Authorizer
from trireme.apiserver.request import User

GROUP = "certificates.k8s.io"


def may(authorizer: Authorizer, user: User, verb: str, signer: str) -> bool:
    """``verb``: approve, sign or attest."""
    domain = signer.partition("/")[0]
    return any(
        authorizer.authorize(
            Attributes(user, verb, group=GROUP, version="*", resource="signers", name=name)
        ).allowed
        for name in (signer, f"{domain}/*")
    )

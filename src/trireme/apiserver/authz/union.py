"""The authorizers, asked in order: the first that allows or denies decides; silence is a no."""

from __future__ import annotations

from trireme.apiserver.authz.contract import Attributes, Decision
from trireme.apiserver.cache.reader import Reader
from trireme.store.contract import Store

SUPERUSERS = "system:masters"
ALWAYS_ALLOWED = frozenset({"/healthz", "/readyz", "/livez"})


class UnionAuthorizer:
    """The privileged group, the paths that everybody may read, then RBAC."""

    def __init__(self, reader: Reader, store: Store) -> None:
        self._reader = reader

    def authorize(self, attributes: Attributes) -> Decision:
        if SUPERUSERS in attributes.user.groups:
            return Decision(True)
        if not attributes.resource and attributes.path in ALWAYS_ALLOWED:
            return Decision(True)
        return Decision(False)

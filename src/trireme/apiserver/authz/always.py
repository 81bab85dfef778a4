"""--authorization-mode=AlwaysAllow and AlwaysDeny. Upstream: apiserver ``authorizerfactory``."""

from __future__ import annotations

from trireme.api.rbac.v1.rules import PolicyRule
from trireme.apiserver.authz.contract import Attributes, Decision

_ALLOWED = Decision(True)
_DENIED = Decision(False, "Everything is forbidden.")


class AlwaysAllow:
    """Allows everything."""

    def authorize(self, attributes: Attributes) -> Decision:
        return _ALLOWED

    def rules(self) -> list[PolicyRule]:
        """Everything."""
        every = ["*"]
        return [
            PolicyRule(verbs=every, apiGroups=every, resources=every),
            PolicyRule(verbs=every, nonResourceURLs=every),
        ]


class AlwaysDeny:
    """Allows nothing; those after it are asked all the same."""

    def authorize(self, attributes: Attributes) -> Decision:
        return _DENIED

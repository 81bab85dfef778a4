"""The authorizers, asked in order: the first that allows or denies decides; no opinion denies.

In: a question (``contract.Attributes``). Out: a decision, without waiting unless a webhook has to
be asked. The order is the privileged group, the paths that everybody may read, then what is
configured (``--authorization-mode=Node,RBAC`` unless it says otherwise). Callers:
the ``authorize`` filter, impersonation, the access reviews and the admission plugins that ask on a
user's behalf.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from trireme.api.rbac.v1.rules import PolicyRule
from trireme.apiserver.authz import configuration
from trireme.apiserver.authz.abac import AbacAuthorizer
from trireme.apiserver.authz.always import AlwaysAllow, AlwaysDeny
from trireme.apiserver.authz.contract import (
    Attributes,
    Authorizer,
    Decision,
    answered,
)
from trireme.apiserver.authz.node import identity
from trireme.apiserver.authz.node.authorizer import NodeAuthorizer
from trireme.apiserver.authz.node.related import Related
from trireme.apiserver.authz.rbac.authorizer import RbacAuthorizer
from trireme.apiserver.authz.rbac.resolve import Resolver
from trireme.apiserver.authz.webhook import WebhookAuthorizer
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.endpoint import Endpoint
from trireme.apiserver.request import User
from trireme.apiserver.settings.authorization import (
    WEBHOOK,
    Authorization,
    AuthorizationConfiguration,
)
from trireme.kit.env import Env
from trireme.store.contract import Store

SUPERUSERS = "system:masters"
ALWAYS_ALLOWED = frozenset({"/healthz", "/readyz", "/livez"})
_ALLOWED = Decision(True)


class UnionAuthorizer:
    """All authorizers of one API server. ``rbac`` also answers which rules a user has.

    ``node_rules``: what every node may do, whatever its name (the role ``system:node``).
    ``pod_certificates``: whether nodes ask for certificates of pods (gate PodCertificateRequest).
    """

    def __init__(
        self,
        settings: Authorization,
        env: Env,
        store: Store,
        reader: Reader,
        by_type: Mapping[type, Endpoint],
        node_rules: list[PolicyRule],
        *,
        pod_certificates: bool = False,
    ) -> None:
        self.rbac = Resolver(reader)
        self._settings = settings
        self._env = env
        # They stay when the configuration is read again.
        self._local: Mapping[str, Authorizer] = {
            "Node": NodeAuthorizer(
                Related(store, by_type), node_rules, pod_certificates=pod_certificates
            ),
            "RBAC": RbacAuthorizer(self.rbac),
            "ABAC": AbacAuthorizer(settings.policy),
            "AlwaysAllow": AlwaysAllow(),
            "AlwaysDeny": AlwaysDeny(),
        }
        self._parts: Sequence[Authorizer] = self._made(settings.configuration)
        # Whether there are webhooks: then ``authorize`` needs a session.
        self.is_remote = self._has_webhooks()

    def _made(
        self, config: AuthorizationConfiguration, required: Sequence[str] = ()
    ) -> Sequence[Authorizer]:
        return tuple(
            self._local[item]
            if isinstance(item, str)
            else WebhookAuthorizer(item, self._settings.access(item.kubeconfig), self._env)
            for item in configuration.compiled(config, required)
        )

    def _has_webhooks(self) -> bool:
        return any(isinstance(part, WebhookAuthorizer) for part in self._parts)

    def authorize(self, attributes: Attributes) -> Decision:
        """May the user do this? A refusal's reasons are those of all who were asked. Raises
        ``Unanswered`` where a webhook has to be asked."""
        if SUPERUSERS in attributes.user.groups:
            return _ALLOWED
        if not attributes.is_resource and attributes.path in ALWAYS_ALLOWED:
            return _ALLOWED
        first: Decision | None = None
        more: list[Decision] = []
        for part in self._parts:
            decision = part.authorize(attributes)
            if decision.allowed:
                return decision
            if decision.reason or decision.error or decision.denied:
                if first is None:
                    first = decision
                else:
                    more.append(decision)
                if decision.denied:
                    break
        if first is None:
            return Decision(False)
        return _refused([first, *more]) if more else first

    async def ask(self, attributes: Attributes) -> Decision:
        """May the user do this, whoever has to be asked?"""
        session = self.session()
        return await answered(lambda: session.authorize(attributes))

    def session(self) -> UnionAuthorizer:
        """One that remembers what webhooks have answered, for what is computed with several
        questions (``contract.answered``); the same where there are none."""
        if not self.is_remote:
            return self
        session = copy.copy(self)
        session._parts = tuple(
            part.session() if isinstance(part, WebhookAuthorizer) else part for part in self._parts
        )
        return session

    def rules(self, user: User, namespace: str) -> tuple[list[PolicyRule], str]:
        """The rules that hold for a user, and what makes their list incomplete ("" if nothing)."""
        found: list[PolicyRule] = []
        problems: list[str] = []
        for part in self._parts:
            if isinstance(part, RbacAuthorizer):
                access = self.rbac.access(user, namespace)
                found += access.rules
                problems += access.problems
            elif isinstance(part, AbacAuthorizer):
                found += part.rules(user, namespace)
            elif isinstance(part, AlwaysAllow):
                found += part.rules()
            elif isinstance(part, WebhookAuthorizer):
                problems.append("webhook authorizer does not support user rule resolution")
            elif isinstance(part, NodeAuthorizer) and identity.node_name(user) is not None:
                problems.append("node authorizer does not support user rule resolution")
        return found, ", ".join(problems)

    async def reconfigure(self, config: AuthorizationConfiguration) -> None:
        """Use another configuration; those that are no webhooks have to stay. ValueError."""
        before = self._parts
        kept = [item.type for item in self._settings.configuration.authorizers]
        self._parts = self._made(config, [item for item in kept if item != WEBHOOK])
        self.is_remote = self._has_webhooks()
        await _close(before)

    async def close(self) -> None:
        """Close the connections to webhooks."""
        await _close(self._parts)


def _refused(decisions: Sequence[Decision]) -> Decision:
    reasons = [item.reason for item in decisions if item.reason]
    problems = [item.error for item in decisions if item.error]
    return Decision(
        False,
        "\n".join(reasons),
        denied=decisions[-1].denied,
        error=problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]" if problems else "",
    )


async def _close(parts: Sequence[Authorizer]) -> None:
    for part in parts:
        if isinstance(part, WebhookAuthorizer):
            await part.close()

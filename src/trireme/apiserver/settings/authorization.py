"""The settings of authorization, and the types of AuthorizationConfiguration.

Upstream: pkg/kubeapiserver/options/authorization.go, apiserver ``pkg/apis/apiserver``. The default
is what every distribution sets, ``--authorization-mode=Node,RBAC``; upstream's own is AlwaysAllow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from trireme.client import kubeconfig
from trireme.client.kubeconfig import Access
from trireme.machinery.configuration import Configuration

WEBHOOK = "Webhook"
MODES = ("ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", WEBHOOK)


class WebhookMatchCondition(Configuration, frozen=True):
    expression: str = ""


class WebhookConnectionInfo(Configuration, frozen=True):
    type: str = ""
    kubeConfigFile: str | None = None


class WebhookConfiguration(Configuration, frozen=True):
    """Durations are Go's texts."""

    authorizedTTL: str = "5m0s"
    cacheAuthorizedRequests: bool = True
    unauthorizedTTL: str = "30s"
    cacheUnauthorizedRequests: bool = True
    timeout: str = "0s"
    subjectAccessReviewVersion: str = ""
    matchConditionSubjectAccessReviewVersion: str = ""
    failurePolicy: str = ""
    connectionInfo: WebhookConnectionInfo = WebhookConnectionInfo()
    matchConditions: tuple[WebhookMatchCondition, ...] = ()


class AuthorizerConfiguration(Configuration, frozen=True):
    type: str = ""
    name: str = ""
    webhook: WebhookConfiguration | None = None


class AuthorizationConfiguration(Configuration, frozen=True):
    authorizers: tuple[AuthorizerConfiguration, ...] = ()


def of_modes(*modes: str) -> AuthorizationConfiguration:
    """The configuration with these modes, none of them a webhook."""
    return AuthorizationConfiguration(
        tuple(AuthorizerConfiguration(mode, mode.lower()) for mode in modes)
    )


@dataclass(frozen=True)
class Policy:
    """A line of a policy file of ABAC. ``user`` and ``group`` "*" is everybody."""

    user: str = ""
    group: str = ""
    readonly: bool = False
    group_of_resource: str = ""
    resource: str = ""
    namespace: str = ""
    path: str = ""


def _load(path: str) -> Access:
    return kubeconfig.load(Path(path))


@dataclass(frozen=True)
class Authorization:
    """Who decides, in which order. ``policy``: of ABAC. ``read``: the file of ``configuration`` as
    it is now, None where it comes from flags. ``access``: reads the kubeconfig of a webhook."""

    configuration: AuthorizationConfiguration = field(
        default_factory=lambda: of_modes("Node", "RBAC")
    )
    policy: tuple[Policy, ...] = ()
    read: Callable[[], bytes] | None = None
    access: Callable[[str], Access] = _load

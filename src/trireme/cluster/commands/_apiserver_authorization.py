"""Flags of the API server's authorization. Upstream: pkg/kubeapiserver/options/authorization.go."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trireme.cluster import flag_kinds as kinds
from trireme.cluster.apiserver_flags import Area
from trireme.cluster.flags import Flag, Groups

if TYPE_CHECKING:
    from trireme.apiserver.config import ApiServerConfig
    from trireme.apiserver.settings.authorization import (
        AuthorizationConfiguration,
        AuthorizerConfiguration,
        Policy,
    )

_MODES: Final = ("ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook")
# Of the only webhook that flags can name.
_NAME: Final = "default"


@dataclass(frozen=True)
class Options:
    modes: tuple[str, ...] = ()
    configuration: Path | None = None
    policy: Path | None = None
    webhook: Path | None = None
    version: str = "v1beta1"
    authorized_ttl: float = 300.0
    unauthorized_ttl: float = 30.0


_GROUPS: Final[Groups] = {
    "Authorization": (
        Flag(
            "authorization-mode",
            "modes",
            kinds.several(kinds.one_of({mode: mode for mode in _MODES})),
            "Who decides, in this order; default: Node,RBAC.",
        ),
        Flag(
            "authorization-config",
            "configuration",
            kinds.FILE,
            "A file of kind AuthorizationConfiguration instead, read again when it changes.",
        ),
        Flag(
            "authorization-policy-file",
            "policy",
            kinds.FILE,
            "The policies of ABAC, one in each line.",
        ),
        Flag(
            "authorization-webhook-config-file",
            "webhook",
            kinds.FILE,
            "A kubeconfig: who is asked in mode Webhook.",
        ),
        Flag(
            "authorization-webhook-version",
            "version",
            kinds.one_of({"v1": "v1", "v1beta1": "v1beta1"}),
            "In which version of SubjectAccessReview.",
        ),
        Flag(
            "authorization-webhook-cache-authorized-ttl",
            "authorized_ttl",
            kinds.duration(),
            "How long a yes is kept.",
        ),
        Flag(
            "authorization-webhook-cache-unauthorized-ttl",
            "unauthorized_ttl",
            kinds.duration(),
            "How long a no is kept.",
        ),
    ),
}


def _configure(options: Options, config: ApiServerConfig) -> ApiServerConfig:
    from trireme.apiserver.authz import configuration
    from trireme.apiserver.settings.authorization import Authorization

    if options == Options():
        return config
    found = _configuration(options)
    flag = "--authorization-mode" if options.configuration is None else "--authorization-config"
    path = options.configuration
    settings = Authorization(found, _policy(options), None if path is None else path.read_bytes)
    try:
        for item in configuration.compiled(found):
            if not isinstance(item, str):
                settings.access(item.kubeconfig)
    except ValueError as error:
        raise ValueError(f"{flag}: {error}") from None
    return dataclasses.replace(config, authorization=settings)


def _configuration(options: Options) -> AuthorizationConfiguration:
    from trireme.apiserver.authz import configuration
    from trireme.apiserver.settings import authorization

    if options.configuration is not None:
        if dataclasses.replace(options, configuration=None, policy=None) != Options():
            raise ValueError(
                "--authorization-config can not be specified when --authorization-mode or "
                "--authorization-webhook-* flags are defined"
            )
        try:
            return configuration.decode(options.configuration.read_bytes())
        except (ValueError, OSError) as error:
            raise ValueError(f"--authorization-config: {options.configuration}: {error}") from None
    modes = options.modes or ("Node", "RBAC")
    if len(set(modes)) < len(modes):
        raise ValueError(
            f"--authorization-mode {','.join(modes)} has mode specified more than once"
        )
    for mode, flag, file in (
        ("ABAC", "authorization-policy-file", options.policy),
        ("Webhook", "authorization-webhook-config-file", options.webhook),
    ):
        if mode in modes and file is None:
            raise ValueError(f"--authorization-mode {mode} needs --{flag}")
        if mode not in modes and file is not None:
            raise ValueError(f"cannot specify --{flag} without mode {mode}")
    return authorization.AuthorizationConfiguration(
        tuple(
            _webhook(options)
            if mode == authorization.WEBHOOK
            else authorization.AuthorizerConfiguration(mode, mode.lower())
            for mode in modes
        )
    )


def _webhook(options: Options) -> AuthorizerConfiguration:
    from trireme.apiserver.settings import authorization
    from trireme.machinery import time

    # A time of none is none that is kept; there has to be one all the same.
    webhook = authorization.WebhookConfiguration(
        authorizedTTL=time.format_duration(options.authorized_ttl or 1.0),
        cacheAuthorizedRequests=options.authorized_ttl > 0,
        unauthorizedTTL=time.format_duration(options.unauthorized_ttl or 1.0),
        cacheUnauthorizedRequests=options.unauthorized_ttl > 0,
        timeout="30s",
        subjectAccessReviewVersion=options.version,
        failurePolicy="NoOpinion",
        connectionInfo=authorization.WebhookConnectionInfo("KubeConfigFile", str(options.webhook)),
    )
    return authorization.AuthorizerConfiguration(authorization.WEBHOOK, _NAME, webhook)


def _policy(options: Options) -> tuple[Policy, ...]:
    from trireme.apiserver.authz import abac

    if options.policy is None:
        return ()
    try:
        return abac.parse(options.policy.read_text())
    except (ValueError, OSError) as error:
        raise ValueError(f"--authorization-policy-file: {options.policy}: {error}") from None


AREA: Final = Area(_GROUPS, Options(), _configure)

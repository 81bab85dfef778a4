"""Who the API server is for each webhook: WebhookAdmissionConfiguration's kubeconfig.

In: the users of a kubeconfig by the host that they are for. Out: ``Credentials`` for a webhook.
Upstream: apiserver ``util/webhook`` authentication.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trireme.apiserver import hooks
from trireme.apiserver.hooks import ANONYMOUS, Credentials
from trireme.client import kubeconfig
from trireme.machinery import configuration
from trireme.machinery.configuration import Configuration


@dataclass(frozen=True)
class ClientAuth:
    """``users``: credentials by ``host[:port]``, ``*.<domain>``, ``*``; ``current`` for others."""

    users: Mapping[str, Credentials] = field(default_factory=dict)
    current: Credentials = ANONYMOUS

    def of(self, config: Any) -> Credentials:
        """The credentials for a webhook's client configuration."""
        if not self.users:
            return self.current
        at = urlsplit(hooks.url(config))
        host, port = at.hostname or "", at.port or 443
        targets = [f"{host}:{port}"] + ([host] if port == 443 else [])
        for target in targets:
            steps = target.split(".")
            names = [target, *("*." + ".".join(steps[i:]) for i in range(1, len(steps)))]
            for name in names:
                if name in self.users:
                    return self.users[name]
        return self.users.get("*", self.current)


class _File(Configuration, frozen=True):
    kubeConfigFile: str = ""


def decode(data: bytes | None, read: Callable[[str], bytes]) -> ClientAuth:
    """From a file of kind WebhookAdmissionConfiguration, which says where the kubeconfig is;
    ``read`` reads that. ValueError, OSError."""
    if data is None:
        return ClientAuth()
    found = configuration.decode(
        data,
        "apiserver.config.k8s.io",
        "WebhookAdmissionConfiguration",
        ("v1",),
        _File,
    )
    path = Path(found.kubeConfigFile)
    if not found.kubeConfigFile:
        return ClientAuth()
    if not path.is_absolute():
        raise ValueError(f'kubeConfigFile: Invalid value: "{path}": must be an absolute file path')
    users, current = kubeconfig.users(read(str(path)), path.parent)
    known = {name: _credentials(user, read) for name, user in users.items()}
    return ClientAuth(known, known.get(current, ANONYMOUS))


def _credentials(user: kubeconfig.User, read: Callable[[str], bytes]) -> Credentials:
    token = user.token or (read(user.token_file).decode().strip() if user.token_file else "")
    pair = user.client
    return Credentials(
        (("Authorization", f"Bearer {token}"),) if token else (),
        pair.certificate if pair is not None else b"",
        pair.key if pair is not None else b"",
    )

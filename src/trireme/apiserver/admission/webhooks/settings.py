"""Who the API server is for each webhook: WebhookAdmissionConfiguration's kubeconfig.

In: the users of a kubeconfig by the host that they are for. Out: ``Credentials`` for a webhook.
Upstream: apiserver ``util/webhook`` authentication.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from trireme.apiserver import hooks
from trireme.apiserver.hooks import ANONYMOUS, Credentials


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

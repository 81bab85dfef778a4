"""Metrics of who asks and who may: authentication, authorization, impersonation.

In: the outcome of each, from the filters. Out: families under upstream's names. Upstream:
apiserver ``endpoints/filters/metrics.go``, ``endpoints/filters/impersonation``.
"""

from __future__ import annotations

from typing import Final

import prometheus_client

from trireme.apiserver.request import User
from trireme.kit import metrics
from trireme.kit.metrics import Counts, Tallies

_DURATIONS: Final = metrics.exponential(0.001, 2, 15)
# The only user names that are labels; all others are sorted, so that their number is bounded.
_NAMED: Final = frozenset(
    ("admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default")
)
SUCCESS, FAILURE, ERROR = "success", "failure", "error"
ALLOWED, DENIED, NO_OPINION = "allowed", "denied", "no-opinion"


class AccessMetrics:
    """Counts what the filters decide of one API server's requests."""

    def __init__(self, registry: prometheus_client.CollectorRegistry) -> None:
        self._authentication = Tallies(
            "authentication_duration_seconds", "Seconds of authentication", _DURATIONS, ["result"]
        )
        self._authorization = Tallies(
            "authorization_duration_seconds", "Seconds of authorization", _DURATIONS, ["result"]
        )
        self._impersonation = Tallies(
            "apiserver_impersonation_attempts_duration_seconds",
            "Seconds of impersonation",
            _DURATIONS,
            ["mode", "decision"],
        )
        self._users = Counts(
            "authenticated_user_requests", "Authenticated requests by sort of user", ["username"]
        )
        # What nearly every request comes to.
        self._succeeded = self._authentication.of(SUCCESS)
        self._allowed = self._authorization.of(ALLOWED)
        metrics.expose(
            registry,
            self._authentication,
            self._authentication.counted("authentication_attempts", "Authentications"),
            self._users,
            self._authorization,
            self._authorization.counted("authorization_attempts_total", "Authorizations"),
            self._impersonation,
            self._impersonation.counted("apiserver_impersonation_attempts_total", "Impersonations"),
        )

    def authenticated(self, user: User, seconds: float) -> None:
        """A request has a user, who may be anonymous."""
        self._succeeded.observe(seconds)
        self._users.add(sort_of(user.name))

    def unauthenticated(self, result: str, seconds: float) -> None:
        """It has none: FAILURE where it says nothing of who asks, ERROR for a bad credential."""
        self._authentication.of(result).observe(seconds)

    def authorized(self, result: str, seconds: float) -> None:
        """A request may go on (ALLOWED), or not."""
        if result is ALLOWED:
            self._allowed.observe(seconds)
        else:
            self._authorization.of(result).observe(seconds)

    def impersonated(self, mode: str, allowed: bool, seconds: float) -> None:
        """Somebody acts as somebody else, or may not."""
        self._impersonation.of(mode, ALLOWED if allowed else DENIED).observe(seconds)


def sort_of(name: str) -> str:
    """The label of a user name."""
    if name in _NAMED:
        return name
    return "email_id" if "@" in name else "other"

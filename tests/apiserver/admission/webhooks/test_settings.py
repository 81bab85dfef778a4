"""Who the API server is for a webhook, by WebhookAdmissionConfiguration's kubeconfig.

Upstream: apiserver util/webhook authentication_test.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from trireme.api.admissionregistration.v1.webhook_types import (
    ServiceReference,
    WebhookClientConfig,
)
from trireme.apiserver.admission.webhooks import settings
from trireme.apiserver.hooks import Credentials

USERS = ("exact.example.com:8443", "*.example.com", "*.default.svc", "other.org", "*")
FILE = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "WebhookAdmissionConfiguration",
    "kubeConfigFile": "/etc/hooks",
}


def kubeconfig(*users: str, current: str = "") -> bytes:
    given: dict[str, Any] = {
        "users": [{"name": name, "user": {"token": name}} for name in users],
    }
    if current:
        given |= {
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": current}}],
            "current-context": "x",
        }
    return json.dumps(given).encode()


def token(name: str) -> Credentials:
    return Credentials((("Authorization", f"Bearer {name}"),) if name else ())


def service(name: str, namespace: str, port: int | None = None) -> WebhookClientConfig:
    return WebhookClientConfig(service=ServiceReference(name=name, namespace=namespace, port=port))


@pytest.mark.parametrize(
    ("config", "user"),
    [
        (WebhookClientConfig(url="https://exact.example.com:8443/x"), "exact.example.com:8443"),
        (WebhookClientConfig(url="https://other.org/"), "other.org"),
        (WebhookClientConfig(url="https://other.org:444/"), "*"),
        (WebhookClientConfig(url="https://a.b.example.com"), "*.example.com"),
        (service("s", "default"), "*.default.svc"),
        (service("s", "kube-system", 8443), "*"),
    ],
)
def test_the_nearest_name_counts(config: WebhookClientConfig, user: str) -> None:
    auth = settings.decode(json.dumps(FILE).encode(), lambda path: kubeconfig(*USERS))
    assert auth.of(config) == token(user)


@pytest.mark.parametrize(("current", "user"), [("b", "b"), ("", "")])
def test_else_the_user_of_the_context(current: str, user: str) -> None:
    read = kubeconfig("a", "b", current=current)
    auth = settings.decode(json.dumps(FILE).encode(), lambda path: read)
    assert auth.of(WebhookClientConfig(url="https://x.org")) == token(user)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({**FILE, "kubeConfigFile": "hooks"}, "must be an absolute file path"),
        ({**FILE, "other": 1}, 'unknown field "other"'),
        ({**FILE, "kind": "Other"}, 'no kind "Other" is registered'),
    ],
)
def test_what_is_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        settings.decode(json.dumps(given).encode(), lambda path: b"")

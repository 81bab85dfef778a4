"""ImagePolicyWebhook: another server says which images may run. Off by default.

Its answers are kept for a while; where it cannot be asked, ``defaultAllow`` decides.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#imagepolicywebhook.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from trireme.api.admissionregistration.v1.webhook_types import WebhookClientConfig
from trireme.api.core.v1.pod.pod import Pod
from trireme.apiserver import hooks
from trireme.apiserver.admission.contract import Attributes, Context, PluginBase, forbidden
from trireme.apiserver.hooks import Credentials
from trireme.client import kubeconfig
from trireme.machinery import errors
from trireme.machinery.codec import json, yaml
from trireme.machinery.resource import Resource
from trireme.machinery.schema import decode as decoding
from trireme.machinery.types import Struct

_PREFIX = "imagepolicywebhook.image-policy.k8s.io/"
_FAILED_OPEN = "alpha.image-policy.k8s.io/failed-open"
_HEAD = b'{"kind":"ImageReview","apiVersion":"imagepolicy.k8s.io/v1alpha1","spec":'
_KEPT = 1024
_TIMEOUT = 30.0
# How often a server that does not answer is asked, and by how much longer the waits become.
_TRIES, _FACTOR = 5, 1.5


class _Policy(msgspec.Struct, forbid_unknown_fields=True):
    """Seconds, and milliseconds for the backoff; 0 is the default, -1 none."""

    kubeConfigFile: str = ""
    allowTTL: int = 0
    denyTTL: int = 0
    retryBackoff: int = 0
    defaultAllow: bool = False


class _File(msgspec.Struct, forbid_unknown_fields=True):
    imagePolicy: _Policy = msgspec.field(default_factory=_Policy)


@dataclass(frozen=True)
class Settings:
    config: WebhookClientConfig
    credentials: Credentials
    allow: float
    deny: float
    backoff: float
    default_allow: bool


def decode(data: bytes | None, read: Callable[[str], bytes]) -> Settings:
    """From a file that says where the kubeconfig is, which ``read`` reads. ValueError, OSError."""
    if data is None:
        raise ValueError("no config specified")
    try:
        policy = msgspec.convert(yaml.load(data).value or {}, _File).imagePolicy
    except (errors.ApiError, msgspec.ValidationError) as error:
        raise ValueError(str(error)) from None
    path = Path(policy.kubeConfigFile)
    access = kubeconfig.parse(read(policy.kubeConfigFile), folder=path.parent)
    if access.tls.insecure or access.tls.server_name:
        raise ValueError("insecure-skip-tls-verify and tls-server-name are not supported")
    pair = access.tls.client
    token = access.token or (read(access.token_file).decode().strip() if access.token_file else "")
    return Settings(
        WebhookClientConfig(url=access.server, caBundle=access.tls.authority),
        Credentials(
            (("Authorization", f"Bearer {token}"),) if token else (),
            pair.certificate if pair is not None else b"",
            pair.key if pair is not None else b"",
        ),
        _duration("allow cache", policy.allowTTL, 1.0, 300.0, 1800.0),
        _duration("deny cache", policy.denyTTL, 1.0, 30.0, 1800.0),
        _duration("backoff", policy.retryBackoff, 0.001, 0.5, 300.0),
        policy.defaultAllow,
    )


def _duration(name: str, value: int, unit: float, default: float, most: float) -> float:
    if value == -1:
        return 0.0
    if value == 0:
        return default
    if not 0 < value * unit <= most:
        raise ValueError(f"image policy webhook {name}: {value} is out of range")
    return value * unit


class _Status(Struct):
    allowed: bool = False
    reason: str = ""
    auditAnnotations: dict[str, str] = {}


class _Review(Struct):
    kind: str = ""
    apiVersion: str = ""
    status: _Status | None = None


class ImagePolicyWebhook(PluginBase):
    """For pods and for ephemeral containers."""

    name = "ImagePolicyWebhook"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Answers by what was asked, until when they hold.
        self._known: OrderedDict[bytes, tuple[float, _Status]] = OrderedDict()

    def handles(self, resource: Resource, subresource: str, operation: str) -> bool:
        return (
            resource.type is Pod
            and subresource in ("", "ephemeralcontainers")
            and operation in ("CREATE", "UPDATE")
        )

    def validate(self, attributes: Attributes, context: Context) -> Awaitable[None] | None:
        return self._ask(attributes, context)

    async def _ask(self, attributes: Attributes, context: Context) -> None:
        pod: Pod = attributes.new
        asked = json.encode(_question(attributes))
        now = context.env.clock.monotonic()
        until, status = self._known.get(asked, (0.0, _Status()))
        if until <= now:
            try:
                status = await self._answer(asked, context)
            except OSError as problem:
                if not self._settings.default_allow:
                    raise forbidden(attributes, str(problem)) from None
                attributes.annotate(f"{_PREFIX}failed-open", "true")
                pod.metadata.annotations = {**pod.metadata.annotations, _FAILED_OPEN: "true"}
                return
            ttl = self._settings.allow if status.allowed else self._settings.deny
            self._known[asked] = (now + ttl, status)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        for key, value in status.auditAnnotations.items():
            attributes.annotate(_PREFIX + key, value)
        if not status.allowed:
            reason = "one or more images rejected by webhook backend"
            if status.reason:
                reason = f"image policy webhook backend denied one or more images: {status.reason}"
            raise forbidden(attributes, reason)

    async def _answer(self, asked: bytes, context: Context) -> _Status:
        """What the server says. OSError in words."""
        settings, wait = self._settings, self._settings.backoff
        body = (
            b'{"kind":"ImageReview","apiVersion":"imagepolicy.k8s.io/v1alpha1","spec":%b}' % asked
        )
        for left in reversed(range(_TRIES)):
            try:
                answer = await context.hooks(settings.config, body, _TIMEOUT, settings.credentials)
                failed = hooks.failure(answer)
                if failed is None:
                    return _status(answer.body)
                if failed.code < 500 or not left:
                    raise OSError(failed.message)
            except OSError:
                if not left:
                    raise
            await context.env.clock.sleep(wait)
            wait *= _FACTOR
        raise AssertionError("unreachable")


def _status(body: bytes) -> _Status:
    try:
        review: _Review
        review, _ = decoding.decode(body, _Review, decoding.IGNORE)
    except errors.ApiError as error:
        raise OSError(error.message) from None
    return review.status or _Status()


def _question(attributes: Attributes) -> dict[str, Any]:
    """The spec of an ImageReview."""
    pod: Pod = attributes.new
    spec = pod.spec
    containers: list[Any] = [*spec.containers, *spec.initContainers]
    if attributes.subresource:
        containers = list(spec.ephemeralContainers)
    annotations = {
        key: value
        for key, value in pod.metadata.annotations.items()
        if ".image-policy.k8s.io/" in key
    }
    asked: dict[str, Any] = {
        "containers": [{"image": item.image} if item.image else {} for item in containers]
    }
    if annotations:
        asked["annotations"] = annotations
    asked["namespace"] = attributes.namespace
    return asked

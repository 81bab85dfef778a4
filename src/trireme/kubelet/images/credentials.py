"""Registry credentials from pull secrets. Pure.

In: Secrets of type dockerconfigjson or dockercfg, and a repository. Out: ``AuthConfig`` values, the
most specific first. Called by images/pull. Rules:
concepts/containers/images#config-json (host globs, path prefixes).
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
from collections.abc import Iterable

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet.cri.model import AuthConfig

DOCKER_JSON = "kubernetes.io/dockerconfigjson"
DOCKER_CFG = "kubernetes.io/dockercfg"


def matching(secrets: Iterable[core.Secret], repository: str) -> list[AuthConfig]:
    """Credentials whose registry matches ``repository``, longest registry first."""
    found: list[tuple[str, AuthConfig]] = []
    for secret in secrets:
        for registry, entry in _entries(secret).items():
            where = _normal(registry)
            auth = _auth(entry)
            if auth is not None and _covers(where, repository):
                found.append((where, auth))
    found.sort(key=lambda pair: pair[0], reverse=True)
    return [auth for _, auth in found]


def _entries(secret: core.Secret) -> dict[str, dict]:
    try:
        if secret.type == DOCKER_JSON:
            document = msgspec.json.decode(secret.data.get(".dockerconfigjson", b"{}"))
            return dict(document.get("auths", {}))
        if secret.type == DOCKER_CFG:
            return dict(msgspec.json.decode(secret.data.get(".dockercfg", b"{}")))
    except (msgspec.DecodeError, AttributeError, TypeError) as problem:
        raise ValueError(f'pull secret "{secret.metadata.name}" cannot be read') from problem
    return {}


def _auth(entry: dict) -> AuthConfig | None:
    user, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        try:
            text = base64.b64decode(entry["auth"], validate=False).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        user, _, password = text.partition(":")
    token = entry.get("identitytoken", "")
    if not user and not token:
        return None
    return AuthConfig(
        username=user,
        password=password,
        identity_token=token,
        registry_token=entry.get("registrytoken", ""),
    )


def _normal(registry: str) -> str:
    registry = registry.removeprefix("https://").removeprefix("http://").rstrip("/")
    for suffix in ("/v1", "/v2"):
        registry = registry.removesuffix(suffix)
    return "docker.io" if registry == "index.docker.io" else registry


def _covers(registry: str, repository: str) -> bool:
    host, _, path = registry.partition("/")
    image_host, _, image_path = repository.partition("/")
    labels, image_labels = host.split("."), image_host.split(".")
    if len(labels) != len(image_labels):
        return False
    return all(
        fnmatch.fnmatchcase(theirs, ours) for ours, theirs in zip(labels, image_labels, strict=True)
    ) and image_path.startswith(path)

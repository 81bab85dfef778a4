"""Registry credentials from pull secrets. Pure.

In: Secrets of type dockerconfigjson or dockercfg, and a repository. Out: ``AuthConfig`` values, the
most specific first. Called by images/pull. Rules:
concepts/containers/images#config-json (host globs, path prefixes).
"""

from __future__ import annotations

import base64
import fnmatch
from collections.abc import Iterable, Mapping

import msgspec

from trireme.api.core import v1 as core
from trireme.kubelet.cri.model import AuthConfig

DOCKER_JSON = "kubernetes.io/dockerconfigjson"
DOCKER_CFG = "kubernetes.io/dockercfg"


class Entry(msgspec.Struct):
    """What a secret holds for a registry; ``auth`` is base64 of ``username:password``."""

    username: str = ""
    password: str = ""
    auth: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class ConfigJson(msgspec.Struct):
    """The file ``.docker/config.json``, as far as the kubelet reads it."""

    auths: dict[str, Entry | None] | None = None


_JSON = msgspec.json.Decoder(ConfigJson)
_CFG = msgspec.json.Decoder(dict[str, Entry | None])


def matching(secrets: Iterable[core.Secret], repository: str) -> list[AuthConfig]:
    """Credentials whose registry matches ``repository``, longest registry first."""
    return [auth for _, auth in matching_secrets(secrets, repository)]


def matching_secrets(
    secrets: Iterable[core.Secret], repository: str
) -> list[tuple[core.Secret, AuthConfig]]:
    """The same, with the secret that each is from."""
    found: list[tuple[str, core.Secret, AuthConfig]] = []
    for secret in secrets:
        for registry, entry in _entries(secret).items():
            where = _normal(registry)
            auth = _auth(entry) if entry is not None else None
            if auth is not None and _covers(where, repository):
                found.append((where, secret, auth))
    found.sort(key=lambda item: item[0], reverse=True)
    return [(secret, auth) for _, secret, auth in found]


def _entries(secret: core.Secret) -> Mapping[str, Entry | None]:
    """Raises ValueError for a secret that holds something else than credentials."""
    try:
        if secret.type == DOCKER_JSON:
            return _JSON.decode(secret.data.get(".dockerconfigjson", b"{}")).auths or {}
        if secret.type == DOCKER_CFG:
            return _CFG.decode(secret.data.get(".dockercfg", b"{}"))
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        name = secret.metadata.name
        raise ValueError(f'pull secret "{name}" cannot be read: {problem}') from problem
    return {}


def _auth(entry: Entry) -> AuthConfig | None:
    user, password = entry.username, entry.password
    if entry.auth:
        try:
            text = base64.b64decode(entry.auth, validate=False).decode()
        except ValueError:  # no base64, or no UTF-8
            return None
        user, _, password = text.partition(":")
    if not user and not entry.identitytoken:
        return None
    return AuthConfig(
        username=user,
        password=password,
        identity_token=entry.identitytoken,
        registry_token=entry.registrytoken,
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

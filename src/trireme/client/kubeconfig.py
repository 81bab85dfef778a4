"""Kubeconfig files: the server and the user's credentials.

In: the bytes of a file, and the folder that its relative paths start from. Out: an ``Access``
(server, TLS, token) to build a transport from; and the reverse, a file with all data inline. Called
by the command line and by components that are given a kubeconfig. What is not
supported (exec plugins, proxies, impersonation) is refused by name. Rules:
https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from trireme.client.http import Http, Tls, TokenFile
from trireme.kit.clock import Clock
from trireme.kit.pki import Pair
from trireme.machinery import errors
from trireme.machinery.codec import yaml

_CLUSTER_FIELDS = frozenset(
    {
        "server",
        "tls-server-name",
        "insecure-skip-tls-verify",
        "certificate-authority",
        "certificate-authority-data",
        "extensions",
    }
)
_USER_FIELDS = frozenset(
    {
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
        "token",
        "tokenFile",
        "extensions",
    }
)


class KubeconfigError(ValueError):
    """The file is no kubeconfig, lacks what is asked for, or wants what is not supported."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """One context of a kubeconfig. ``token_file`` wins over ``token``."""

    server: str
    tls: Tls = Tls()
    token: str = ""
    token_file: str = ""
    namespace: str = "default"


def load(path: Path, context: str = "") -> Access:
    """A context of a file, the current one by default. Raises KubeconfigError, which names it."""
    try:
        return parse(path.read_bytes(), context, path.parent)
    except (KubeconfigError, OSError) as error:
        raise KubeconfigError(f"{path}: {error}") from None


def parse(data: bytes, context: str = "", folder: Path = Path()) -> Access:
    """A context of a kubeconfig's text; files that it names are looked for from ``folder``."""
    config = _document(data)
    name = context or _text(config, "current-context", "the kubeconfig")
    if not name:
        raise KubeconfigError("the kubeconfig has no current-context")
    entry = _named(config, "contexts", "context", name)
    cluster_name = _text(entry, "cluster", f"context {name!r}")
    user_name = _text(entry, "user", f"context {name!r}")
    cluster = _named(config, "clusters", "cluster", cluster_name)
    user = _named(config, "users", "user", user_name) if user_name else {}
    _only(cluster, _CLUSTER_FIELDS, f"cluster {cluster_name!r}")
    _only(user, _USER_FIELDS, f"user {user_name!r}")
    server = _text(cluster, "server", f"cluster {cluster_name!r}")
    if not server:
        raise KubeconfigError(f"cluster {cluster_name!r} names no server")
    if "://" not in server:
        server = f"http://{server}"
    if not server.startswith(("http://", "https://")):
        raise KubeconfigError(f"cluster {cluster_name!r}: {server} is no address of HTTP")
    token_file = _text(user, "tokenFile", f"user {user_name!r}")
    return Access(
        server=server,
        tls=Tls(
            authority=_bytes(cluster, "certificate-authority", folder),
            client=_pair(user, folder, user_name),
            server_name=_text(cluster, "tls-server-name", f"cluster {cluster_name!r}"),
            insecure=bool(cluster.get("insecure-skip-tls-verify", False)),
        ),
        token=_text(user, "token", f"user {user_name!r}"),
        token_file=str(folder / token_file) if token_file else "",
        namespace=_text(entry, "namespace", f"context {name!r}") or "default",
    )


class User(msgspec.Struct, frozen=True):
    """One user of a kubeconfig. ``token`` wins over ``token_file``."""

    client: Pair | None = None
    token: str = ""
    token_file: str = ""


def users(data: bytes, folder: Path = Path()) -> tuple[dict[str, User], str]:
    """All users of a kubeconfig's text by name, and the name of the current context's."""
    config = _document(data)
    found: dict[str, User] = {}
    for item in config.get("users") or ():
        name = _text(item, "name", "a user") if isinstance(item, dict) else ""
        user = _named(config, "users", "user", name)
        _only(user, _USER_FIELDS, f"user {name!r}")
        token_file = _text(user, "tokenFile", f"user {name!r}")
        found[name] = User(
            _pair(user, folder, name),
            _text(user, "token", f"user {name!r}"),
            str(folder / token_file) if token_file else "",
        )
    context = _text(config, "current-context", "the kubeconfig")
    entry = _named(config, "contexts", "context", context) if context else {}
    return found, _text(entry, "user", f"context {context!r}")


def connect(access: Access, clock: Clock) -> Http:
    """A transport; whoever asks closes it. ``clock`` says when a token file is read again. Raises
    KubeconfigError for what is no certificate or key."""
    token: Callable[[], str] | None = None
    if access.token_file:
        token = TokenFile(Path(access.token_file), clock)
    elif access.token:
        token = partial(str, access.token)
    transport = Http(access.server, access.tls, token)
    try:
        _ = transport.ssl
    except (ssl.SSLError, ValueError) as error:
        detail = f"no certificates and key for {access.server}: {error}"
        raise KubeconfigError(f"the kubeconfig has {detail}") from None
    return transport


def dump(access: Access, cluster: str = "trireme", user: str = "admin") -> str:
    """A kubeconfig with one context, ``user@cluster``, and all certificates inside."""
    there: dict[str, Any] = {"server": access.server}
    if access.tls.authority:
        there["certificate-authority-data"] = _base64(access.tls.authority)
    if access.tls.server_name:
        there["tls-server-name"] = access.tls.server_name
    if access.tls.insecure:
        there["insecure-skip-tls-verify"] = True
    who: dict[str, Any] = {}
    if access.tls.client is not None:
        who["client-certificate-data"] = _base64(access.tls.client.certificate)
        who["client-key-data"] = _base64(access.tls.client.key)
    if access.token:
        who["token"] = access.token
    if access.token_file:
        who["tokenFile"] = access.token_file
    where = {"cluster": cluster, "user": user}
    if access.namespace != "default":
        where["namespace"] = access.namespace
    context = f"{user}@{cluster}"
    return yaml.dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": there}],
            "users": [{"name": user, "user": who}],
            "contexts": [{"name": context, "context": where}],
            "current-context": context,
        }
    )


def write(path: Path, access: Access, cluster: str = "trireme", user: str = "admin") -> None:
    """Write ``dump`` to a file that only its owner can read, in one step."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(0o600)
    fresh.write_text(dump(access, cluster, user))
    fresh.replace(path)


def in_cluster(folder: Path, server: str) -> Access:
    """What a pod has in ``/var/run/secrets/kubernetes.io/serviceaccount``."""
    namespace = (folder / "namespace").read_text().strip()
    return Access(
        server=server,
        tls=Tls(authority=(folder / "ca.crt").read_bytes()),
        token_file=str(folder / "token"),
        namespace=namespace,
    )


def _document(data: bytes) -> dict[str, Any]:
    try:
        loaded = yaml.load(data)
    except errors.ApiError as problem:
        raise KubeconfigError(f"not a kubeconfig: {problem.message}") from None
    if loaded.problem:
        raise KubeconfigError(f"not a kubeconfig: {loaded.problem}")
    if not isinstance(loaded.value, dict) or loaded.value.get("kind", "Config") != "Config":
        raise KubeconfigError("not a kubeconfig: no document of kind Config")
    return loaded.value


def _named(config: dict[str, Any], many: str, one: str, name: str) -> dict[str, Any]:
    entries = config.get(many) or []
    if not isinstance(entries, list):
        raise KubeconfigError(f"{many} is not a list")
    for entry in entries:
        if isinstance(entry, dict) and entry.get("name") == name:
            value = entry.get(one) or {}
            if not isinstance(value, dict):
                raise KubeconfigError(f"{one} {name!r} is not a map")
            return value
    raise KubeconfigError(f"the kubeconfig has no {one} {name!r}")


def _only(entry: dict[str, Any], known: frozenset[str], what: str) -> None:
    unknown = sorted(key for key, value in entry.items() if key not in known and value)
    if unknown:
        raise KubeconfigError(f"{what}: {', '.join(unknown)} is not supported")


def _text(entry: dict[str, Any], key: str, what: str) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise KubeconfigError(f"{what}: {key} is not a text")
    return value


def _pair(user: dict[str, Any], folder: Path, name: str) -> Pair | None:
    certificate = _bytes(user, "client-certificate", folder)
    key = _bytes(user, "client-key", folder)
    if bool(certificate) != bool(key):
        raise KubeconfigError(f"user {name!r}: a client certificate needs its key and vice versa")
    return Pair(certificate, key) if certificate else None


def _bytes(entry: dict[str, Any], key: str, folder: Path) -> bytes:
    """The inline data where there is some, else the file's content."""
    inline = _text(entry, f"{key}-data", key)
    if inline:
        try:
            return base64.b64decode(inline, validate=True)
        except binascii.Error:
            raise KubeconfigError(f"{key}-data is not base64") from None
    path = _text(entry, key, key)
    return (folder / path).read_bytes() if path else b""


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

"""The HTTPS server of a component of the control plane.

In: ``Pages``: what may be got. Out: a server until cancelled. Every request but those of
``always_allow`` is authenticated and authorized first. Run by the component's process beside the
component. Upstream: controller-manager/app/serve.go, cmd/kube-scheduler/app/server.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

import prometheus_client
from aiohttp import web
from aiohttp.web_request import BaseRequest
from prometheus_client import exposition

from trireme.api.core.v1.configmap import ConfigMap
from trireme.client.client import Client
from trireme.client.codec import Unreadable
from trireme.kit import pki, tls
from trireme.kit.connections import Front, OtherHTTP, refusal
from trireme.kit.env import Env
from trireme.kit.pki import Pair
from trireme.machinery import errors
from trireme.machinery.codec import json
from trireme.runtime.serving import health
from trireme.runtime.serving.config import DelegatedAuth, SecureServing
from trireme.runtime.serving.delegated import Attributes, Authenticator, Authorizer, Refused, User
from trireme.runtime.serving.health import Checks
from trireme.runtime.serving.indicators import Indicators

TEXT = "text/plain; charset=utf-8"
# Whoever has this group may do everything, as upstream's delegated authorization has it.
_MASTERS = "system:masters"
_AUTHORITY = ("extension-apiserver-authentication", "kube-system")


@dataclass(frozen=True, kw_only=True)
class Pages:
    """``health``: the checks of each page, by path (/healthz). ``texts``: other pages: content type
    and body."""

    metrics: prometheus_client.CollectorRegistry
    health: Mapping[str, Checks]
    texts: Mapping[str, Callable[[], tuple[str, bytes]]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reviewers:
    """Clients that may create TokenReviews, and SubjectAccessReviews; None: nobody is asked."""

    authentication: Client | None = None
    authorization: Client | None = None


@asynccontextmanager
async def serving(
    config: SecureServing,
    auth: DelegatedAuth,
    reviewers: Reviewers,
    pages: Pages,
    name: str,
    env: Env,
) -> AsyncIterator[int]:
    """Serve ``pages`` of the component ``name``; the port. OSError where it cannot be had,
    ValueError for a certificate, ApiError where clients' authority cannot be looked up."""
    authority = auth.client_authority or await _looked_up(auth, reviewers, env)
    context = tls.server_context(
        _pair(config, name, env),
        authority,
        config.min_version,
        [openssl(suite) for suite in config.cipher_suites],
    )
    front = Front(_Handler(auth, reviewers, pages, env).handle, env.log)
    listening = await asyncio.get_running_loop().create_server(
        front,
        config.address,
        config.port,
        ssl=context,
        # Always, as Go's listeners do: else a port cannot be had anew for a minute.
        reuse_address=True,
        reuse_port=config.reuse_port,
    )
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await front.shutdown(timeout=1)


class _Handler:
    def __init__(self, auth: DelegatedAuth, reviewers: Reviewers, pages: Pages, env: Env) -> None:
        self._pages = pages
        self._env = env
        self._indicators = Indicators()
        self._always = auth.always_allow
        self._authenticator = Authenticator(
            env, reviewers.authentication, auth.token_ttl, anonymous=True
        )
        self._authorizer = (
            Authorizer(env, reviewers.authorization, auth.allowed_ttl, auth.denied_ttl)
            if reviewers.authorization is not None
            else None
        )

    async def handle(self, request: BaseRequest) -> web.StreamResponse:
        """Answer a request; errors are a Status."""
        if isinstance(request, OtherHTTP):
            return refusal()
        try:
            await self._check(request)
        except Refused as refused:
            if refused.status == 401:
                return _status(errors.unauthorized("Unauthorized"))
            return web.Response(status=refused.status, text=refused.text)
        except errors.ApiError as error:
            return _status(error)
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="Method Not Allowed", headers={"Allow": "GET"})
        return self._page(request)

    async def _check(self, request: BaseRequest) -> None:
        certificate = request.transport and request.transport.get_extra_info("peercert")
        user = await self._authenticator.user(
            certificate or None, request.headers.get("Authorization", "")
        )
        if _MASTERS in user.groups or any(_covers(path, request.path) for path in self._always):
            return
        attributes = Attributes(request.method.lower(), path=request.path)
        if self._authorizer is None or not await self._authorizer.may(user, attributes):
            raise _forbidden(user, attributes)

    def _slis(self) -> bytes:
        health = self._pages.health
        return self._indicators.page({path[1:]: one.results() for path, one in health.items()})

    def _page(self, request: BaseRequest) -> web.Response:
        path = request.path
        if path == "/metrics":
            encode, kind = exposition.choose_encoder(request.headers.get("Accept", ""))
            return web.Response(body=encode(self._pages.metrics), headers={"Content-Type": kind})
        if path == "/metrics/slis":
            return web.Response(body=self._slis(), headers={"Content-Type": TEXT})
        if path in self._pages.health:
            query = parse_qs(request.query_string, keep_blank_values=True)
            results = self._pages.health[path].results()
            self._indicators.checked(path[1:], results)
            for name, problem in results.items():
                if problem:
                    self._env.log.info("%s: %s failed: %s", path, name, problem)
            status, text = health.report(
                path[1:], results, query.get("exclude", []), verbose="verbose" in query
            )
            return _text(status, text)
        found = self._pages.texts.get(path)
        if found is None:
            return _text(404, "404 page not found\n")
        kind, body = found()
        return web.Response(body=body, headers={"Content-Type": kind})


def _covers(allowed: str, path: str) -> bool:
    return path.startswith(allowed[:-1]) if allowed.endswith("*") else path == allowed


def _forbidden(user: User, attributes: Attributes) -> errors.ApiError:
    return errors.forbidden(
        "", "", f'User "{user.name}" cannot {attributes.verb} path "{attributes.path}"'
    )


def _status(error: errors.ApiError) -> web.Response:
    return web.Response(
        status=error.code, body=json.encode(error.status()), content_type="application/json"
    )


def _text(status: int, text: str) -> web.Response:
    headers = {"Content-Type": TEXT, "X-Content-Type-Options": "nosniff"}
    return web.Response(status=status, body=text.encode(), headers=headers)


async def _looked_up(auth: DelegatedAuth, reviewers: Reviewers, env: Env) -> bytes:
    """The authority of clients' certificates, which the API server publishes."""
    client = reviewers.authentication
    if auth.skip_lookup or client is None:
        return b""
    try:
        found = await client.get(ConfigMap, *_AUTHORITY)
    except (errors.ApiError, OSError, Unreadable) as error:
        if not auth.tolerate_lookup_failure:
            raise
        env.log.warning("no client's certificate is taken: %s", error)
        return b""
    return (found.data or {}).get("client-ca-file", "").encode()


def _pair(config: SecureServing, name: str, env: Env) -> Pair:
    """The configured certificate, the one kept in ``cert_dir``, or a new one."""
    if config.certificate:
        return Pair(config.certificate, config.key)
    if not config.cert_dir:
        return _own(config, name, env)
    folder = Path(config.cert_dir)
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    if not (certificate.exists() and key.exists()):
        made = _own(config, name, env)
        folder.mkdir(parents=True, exist_ok=True)
        key.touch(0o600)
        key.write_bytes(made.key)
        certificate.write_bytes(made.certificate)
    return Pair(certificate.read_bytes(), key.read_bytes())


def _own(config: SecureServing, name: str, env: Env) -> Pair:
    """A certificate that is signed by an authority that nobody has."""
    now = env.clock.now()
    authority = pki.new_authority(f"{name}-ca", now)
    names = ("localhost", "127.0.0.1", config.address)
    return pki.issue(authority, name, now, names=names, server=True)


def openssl(suite: str) -> str:
    """The name that OpenSSL has for IANA's."""
    exchange, _, cipher = suite.removeprefix("TLS_").partition("_WITH_")
    parts = cipher.replace("AES_", "AES").replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305")
    words = [] if exchange == "RSA" else exchange.split("_")
    return "-".join([*words, *parts.replace("_CBC", "").split("_")])

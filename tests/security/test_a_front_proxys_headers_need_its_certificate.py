"""``X-Remote-User`` and its like count only on a connection with the front proxy's certificate.

A client's own certificate is none, whatever it says; the proxy's is no client's; a name that is not
allowed is refused; the headers go no further (upstream, apiserver
authentication/request/headerrequest and x509).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any

import pytest

from tests.apiserver import wire
from trireme.apiserver.settings.authentication import Authentication, RequestHeader
from trireme.kit import pki
from trireme.kit.pki import Pair
from trireme.kit.tls import load_pair

CLIENTS = wire.AUTHORITY
PROXIES = pki.new_authority("front-proxy-ca", 1_700_000_000.0, 100 * pki.YEAR)
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = b'{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}'
HEADER = RequestHeader(
    authority=PROXIES.certificate,
    allowed_names=("front-proxy-client",),
    username_headers=("X-Remote-User",),
    uid_headers=("X-Remote-Uid",),
    group_headers=("X-Remote-Group",),
    extra_prefixes=("X-Remote-Extra-",),
)
# With TLS 1.3 a client may have written before it hears that its certificate is none.
CUT_OFF = (ssl.SSLError, asyncio.IncompleteReadError, ConnectionError)
SAYS = (
    "X-Remote-User: jane",
    "x-remote-group: devs",
    "X-Remote-Group: ops",
    "X-Remote-Uid: 7",
    "X-Remote-Extra-Acme.com%2Fproject: a",
    "X-Remote-Extra-Acme.com%2Fproject: b",
)


def certificate(authority: Pair, name: str) -> Pair:
    return pki.issue(authority, name, 1_700_000_000.0, lifetime=50 * pki.YEAR)


async def who(site: wire.Site, pair: Pair | None, *headers: str) -> tuple[int, Any]:
    """Who the server takes a client with a certificate and these headers for."""
    context = ssl.create_default_context(cadata=wire.AUTHORITY.certificate.decode())
    if pair is not None:
        load_pair(context, pair)
    site.context = context
    made = await site.wire()
    head = [f"POST {WHO} HTTP/1.1", "Host: a", "Content-Type: application/json", *headers]
    lines = "\r\n".join([*head, f"Content-Length: {len(REVIEW)}", "", ""])
    made.send(lines.encode() + REVIEW)
    status, _, body = await made.answer()
    made.close()
    answer = json.loads(body)
    return status, answer["status"]["userInfo"] if status == 201 else None


def serving(caplog: pytest.LogCaptureFixture, header: RequestHeader = HEADER) -> Any:
    settings: dict[str, Any] = {
        "client_authority": CLIENTS.certificate,
        "authentication": Authentication(
            request_header=header,
            static_tokens={wire.TOKEN: ("admin", "1", ("system:masters",))},
        ),
    }
    return wire.served(caplog, **settings)


async def test_the_proxy_is_believed(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(caplog) as site:
        status, user = await who(site, certificate(PROXIES, "front-proxy-client"), *SAYS)
        site.context = ssl.create_default_context(cadata=wire.AUTHORITY.certificate.decode())
    assert status == 201
    assert user == {
        "username": "jane",
        "uid": "7",
        "groups": ["devs", "ops", "system:authenticated"],
        "extra": {"acme.com/project": ["a", "b"]},
    }


async def test_nobody_else_is(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(caplog) as site:
        own = await who(site, certificate(CLIENTS, "joe"), *SAYS)
        same_name = await who(site, certificate(CLIENTS, "front-proxy-client"), *SAYS)
        nobody = await who(site, None, *SAYS)
        token = f"Authorization: Bearer {wire.TOKEN}"
        by_token = await who(site, None, token, *SAYS)
        other_name = await who(site, certificate(PROXIES, "other"), *SAYS)
        silent = await who(site, certificate(PROXIES, "front-proxy-client"))
        with_token = await who(site, certificate(PROXIES, "front-proxy-client"), token)
        site.context = ssl.create_default_context(cadata=wire.AUTHORITY.certificate.decode())
    assert own[1]["username"] == "joe"
    assert own[1]["groups"] == ["system:authenticated"]
    assert same_name[1]["username"] == "front-proxy-client"
    assert nobody[0] == 403
    assert by_token[1]["username"] == "admin"
    assert other_name[0] == 401
    # Its certificate makes it nobody's client.
    assert silent[0] == 401
    assert with_token[1]["username"] == "admin"


async def test_a_certificate_of_both_authorities_is_the_proxys_where_its_name_is_allowed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both = RequestHeader(
        authority=CLIENTS.certificate,
        allowed_names=("front-proxy-client",),
        username_headers=("X-Remote-User",),
    )
    async with serving(caplog, both) as site:
        proxy = await who(site, certificate(CLIENTS, "front-proxy-client"), *SAYS)
        client = await who(site, certificate(CLIENTS, "joe"), *SAYS)
        site.context = ssl.create_default_context(cadata=wire.AUTHORITY.certificate.decode())
    assert proxy[1]["username"] == "jane"
    assert client[1]["username"] == "joe"


async def test_other_authorities_count_from_the_next_connection_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    new = pki.new_authority("new", 1_700_000_000.0, 100 * pki.YEAR)
    async with serving(caplog) as site:
        authorities = site.server.context.authenticator.authorities
        with pytest.raises(CUT_OFF):
            await who(site, certificate(new, "joe"))
        authorities.put(new.certificate, authorities.proxy)
        assert (await who(site, certificate(new, "joe")))[1]["username"] == "joe"
        proxy = certificate(PROXIES, "front-proxy-client")
        assert (await who(site, proxy, *SAYS))[1]["username"] == "jane"
        with pytest.raises(CUT_OFF):
            await who(site, certificate(CLIENTS, "jane"))
        with pytest.raises(ValueError, match="PEM"):
            authorities.put(b"nothing", b"")
        assert (await who(site, certificate(new, "joe")))[1]["username"] == "joe"
        site.context = ssl.create_default_context(cadata=wire.AUTHORITY.certificate.decode())

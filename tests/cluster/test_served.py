"""The pages of a component: which metrics are on them, and what the server is made with."""

from __future__ import annotations

import ssl
from pathlib import Path

import prometheus_client
import pytest

from trireme.cluster.served import Served
from trireme.kit import metrics, pki, tls
from trireme.kit.env import Env
from trireme.runtime.serving import server
from trireme.runtime.serving.config import DelegatedAuth, SecureServing


def test_a_disabled_metric_is_not_served_whatever_its_name_ends_in() -> None:
    env = Env()
    metrics.counter(env.metrics, "things_total", "Things").inc()
    metrics.gauge(env.metrics, "size", "A size").set(1)
    metrics.plain_counter(env.metrics, "changes", "Changes").inc()
    pages = Served(name="x").pages(env, ("things_total", "size"))
    text = prometheus_client.generate_latest(pages.metrics).decode()
    assert "things_total" not in text and "\nsize " not in text
    assert "\nchanges 1.0\n" in text
    assert "\ndisabled_metrics_total 2.0\n" in text


async def test_a_certificate_of_its_own_is_kept_where_it_is_told(tmp_path: Path) -> None:
    config = SecureServing(port=0, cert_dir=str(tmp_path / "keys"))
    kept = []
    for _ in range(2):
        env = Env()
        pages = Served(name="x").pages(env)
        auth, nobody = DelegatedAuth(), server.Reviewers()
        async with server.serving(config, auth, nobody, pages, "x", env) as port:
            assert port
            kept.append((tmp_path / "keys/x.crt").read_bytes())
    assert kept[0] == kept[1]
    assert (tmp_path / "keys/x.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA"),
    ],
)
def test_a_cipher_suite_has_the_librarys_name(suite: str, name: str) -> None:
    assert server.openssl(suite) == name
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(name)


def test_a_suite_that_the_library_does_not_have_is_refused_by_name() -> None:
    authority = pki.new_authority("ca", 0.0)
    with pytest.raises(ValueError, match="RC4-SHA"):
        tls.server_context(authority, b"", ciphers=["RC4-SHA"])

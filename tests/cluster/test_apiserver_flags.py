"""The API server's flags: read alike by ``trireme apiserver`` and ``--kube-apiserver-arg``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from trireme.apiserver.config import ApiServerConfig, ServiceAccountKeys
from trireme.apiserver.settings.authentication import Authentication
from trireme.cluster import apiserver_flags, compose, ports, provision, settings, up
from trireme.cluster.command_line import cli
from trireme.cluster.commands import _standalone, apiserver
from trireme.cluster.flags import Refused
from trireme.cluster.hosts.plan import Places
from trireme.cluster.settings import Settings
from trireme.cluster.up import UpOptions
from trireme.kit import pki
from trireme.store.memory import MemoryStore

PLAIN = ApiServerConfig(store=MemoryStore(), service_accounts=ServiceAccountKeys(b""))


def test_flags_reach_the_configuration() -> None:
    config = apiserver_flags.configured(
        PLAIN,
        (
            "max-requests-inflight=3",
            "runtime-config=api/beta=true",
            "runtime-config=autoscaling/v1=false",
            "feature-gates=CBORServingAndStorage=true",
            "enable-bootstrap-token-auth",
        ),
    )
    assert config.max_in_flight == 3
    assert config.runtime_config == {"api/beta": True, "autoscaling/v1": False}
    assert config.feature_gates == {"CBORServingAndStorage": True}
    assert config.authentication.bootstrap_tokens


@pytest.mark.parametrize(
    ("arg", "problem"),
    [
        ("max-request-inflight=1", r"unknown flag: --max-request-inflight \(is it --max-requests-"),
        ("nonsense=1", "unknown flag: --nonsense$"),
        ("max-requests-inflight", "flag needs an argument: --max-requests-inflight"),
        ("max-requests-inflight=x", "invalid argument 'x' for --max-requests-inflight: must be"),
        ("feature-gates=No=true", "--feature-gates: unrecognized feature gate: No"),
    ],
)
def test_what_is_wrong_is_refused_by_name(arg: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        apiserver_flags.check(apiserver_flags.read([arg]))
    with pytest.raises(click.UsageError, match=problem.replace("^", "")):
        cli.main(["up", "--kube-apiserver-arg", arg], standalone_mode=False)


def test_every_flag_is_of_one_area() -> None:
    names = [row.name for row in apiserver_flags.rows()]
    assert len(names) == len(set(names))
    options = [name for item in apiserver.COMMAND.params for name in item.opts]
    assert len(options) == len(set(options))


def test_up_and_the_command_alone_keep_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found: list[tuple[str, ...]] = []

    class Enough(Exception):
        pass

    def composed(cluster: Settings) -> Any:
        found.append(cluster.kube_apiserver_args)
        raise Enough

    def upped(options: UpOptions, stages: object) -> Any:
        found.append(options.kube_apiserver_args)
        raise Enough

    monkeypatch.setattr(compose, "api_server", composed)
    monkeypatch.setattr(_standalone, "run", lambda name, main: main(None).send(None))
    monkeypatch.setattr(up, "up", upped)
    monkeypatch.setattr(ports, "problem", lambda *_: "")
    alone = ["apiserver", "--state-dir", str(tmp_path / "s"), "--max-requests-inflight", "7"]
    for words in (alone, ["up", "--kube-apiserver-arg", "max-requests-inflight=7"]):
        with pytest.raises(Enough):
            cli.main(words, standalone_mode=False)
    assert found == [("max-requests-inflight=7",)] * 2


def test_a_cluster_keeps_its_flags_until_others_are_given(tmp_path: Path) -> None:
    places = Places(state=str(tmp_path / "state"), run=str(tmp_path / "run"))
    options = UpOptions(name="a", kube_apiserver_args=("max-requests-inflight=7",))
    first = provision._settings(options, None, places, 1, None)
    assert first.kube_apiserver_args == ("max-requests-inflight=7",)
    again = provision._settings(UpOptions(name="a"), first, places, 1, None)
    assert again.kube_apiserver_args == first.kube_apiserver_args
    other = msgspec.structs.replace(options, kube_apiserver_args=("max-requests-inflight=8",))
    assert provision._settings(other, first, places, 1, None).kube_apiserver_args == (
        "max-requests-inflight=8",
    )


def test_a_running_cluster_takes_no_other_flags(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = Places(state=str(tmp_path / "state"), run=str(tmp_path / "run"))
    kept = provision._settings(UpOptions(name="a"), None, places, 1, None)
    monkeypatch.setattr(up, "default_places", lambda: places)
    monkeypatch.setattr(settings, "load", lambda *_: kept)
    monkeypatch.setattr(up, "_runs", lambda _: True)
    options = UpOptions(name="a", kube_apiserver_args=("max-requests-inflight=7",))
    with pytest.raises(up.CannotStart, match="runs already, with other flags"):
        up.up(options, lambda: None)  # type: ignore[arg-type,return-value]  # never called


def certificate(name: str) -> bytes:
    return pki.new_authority(name, 1_700_000_000.0, 100 * pki.YEAR).certificate


TOKENS = 't1,jane,1,"a,b"\nt2,joe,2\n'


def test_what_no_flag_is_about_stays() -> None:
    before = Authentication(static_tokens={"t": ("jane", "1", ())})
    plain = dataclasses.replace(PLAIN, authentication=before)
    assert apiserver_flags.configured(plain, ()).authentication == before


def test_flags_of_authentication(tmp_path: Path) -> None:
    def file(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return f"{path}"

    key, old = pki.new_key(), pki.new_key()
    config = apiserver_flags.configured(
        PLAIN,
        (
            "anonymous-auth=false",
            "api-audiences=a,b",
            f"token-auth-file={file('tokens', TOKENS)}",
            f"client-ca-file={file('ca', certificate('ca'))}",
            f"requestheader-client-ca-file={file('proxy', certificate('proxy'))}",
            "requestheader-username-headers=X-Remote-User,X-User",
            "requestheader-allowed-names=one",
            f"service-account-signing-key-file={file('key', key)}",
            f"service-account-key-file={file('keys', pki.public_key(old) + key)}",
            "service-account-issuer=https://new.test",
            "service-account-issuer=https://old.test",
            "service-account-max-token-expiration=2h",
            "service-account-extend-token-expiration=false",
            "oidc-issuer-url=https://idp.test",
            "oidc-client-id=us",
            "oidc-groups-claim=groups",
            "oidc-required-claim=hd=here",
            "oidc-signing-algs=RS256,ES256",
        ),
    )
    settings, accounts = config.authentication, config.service_accounts
    assert not settings.anonymous
    assert settings.static_tokens == {"t1": ("jane", "1", ("a", "b")), "t2": ("joe", "2", ())}
    assert b"BEGIN CERTIFICATE" in config.client_authority
    assert settings.request_header is not None
    assert settings.request_header.username_headers == ("X-Remote-User", "X-User")
    assert accounts.signing_key == key
    assert accounts.issuers == ("https://new.test", "https://old.test")
    assert accounts.accepted_audiences == ("a", "b")
    assert len(accounts.public_keys) == 2
    assert (accounts.max_expiration, accounts.extend_expiration) == (7200, False)
    (issuer,) = settings.configuration.jwt
    assert issuer.claimMappings.username.prefix == "https://idp.test#"
    assert issuer.claimMappings.groups.prefix == ""
    assert issuer.claimValidationRules[0].requiredValue == "here"
    assert settings.algorithms == ("RS256", "ES256")


def test_flags_of_audit(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.write_text(
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, verbs: [create]}]\n"
    )
    config = apiserver_flags.configured(
        PLAIN,
        (
            f"audit-policy-file={policy}",
            f"audit-log-path={tmp_path}/audit.log",
            "audit-log-mode=batch",
            "audit-log-maxsize=5",
            "audit-log-format=legacy",
            "audit-log-truncate-enabled",
        ),
    )
    audit = config.audit
    assert audit.policy is not None
    assert audit.policy.rules[0].verbs == ("create",)
    assert audit.log is not None
    assert audit.log.path == tmp_path / "audit.log"
    assert (audit.log.mode, audit.log.max_size, audit.log.legacy) == ("batch", 5, True)
    assert audit.log.truncation is not None
    assert audit.webhook is None
    assert apiserver_flags.configured(PLAIN, ("audit-log-path=-",)).audit.policy is None


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["oidc-issuer-url=https://a.test"], "must be specified together"),
        (["oidc-groups-claim=g"], "must be set"),
        (["service-account-max-token-expiration=1m"], "must be between 1 hour and 2"),
        (["service-account-issuer=a", "service-account-issuer=a"], "is specified twice"),
        (["requestheader-username-headers=X"], "requestheader-client-ca-file is required"),
        (["requestheader-client-ca-file=CA"], "needs --requestheader-username-headers"),
        (
            [
                "client-ca-file=CA",
                "requestheader-client-ca-file=CA",
                "requestheader-group-headers=X",
            ],
            "contain overlapping certificates",
        ),
        (["token-auth-file=EMPTY", "authentication-config=EMPTY"], "no document of kind"),
        (["token-auth-file=CA"], "must have at least 3 columns"),
        (["authentication-token-webhook-config-file=CA"], "kubeconfig"),
        (["service-account-lookup=false"], "not supported"),
        (["service-account-key-file=CA"], "no key in PEM"),
        (["audit-policy-file=EMPTY"], "--audit-policy-file: .*: no document of kind Policy"),
        (["audit-webhook-config-file=CA"], "--audit-webhook-config-file: .*not a kubeconfig"),
        (
            [
                "audit-log-path=-",
                "audit-log-truncate-enabled",
                "audit-log-truncate-max-batch-size=10",
            ],
            "must be greater than or equal to",
        ),
        (["audit-log-version=audit.k8s.io/v2"], "not supported"),
        (
            ["service-account-signing-endpoint=/s", "service-account-signing-key-file=KEY"],
            "mutually exclusive",
        ),
        (["authorization-mode=ABAC"], "ABAC needs --authorization-policy-file"),
        (["authorization-policy-file=EMPTY"], "without mode ABAC"),
        (["authorization-mode=RBAC", "authorization-mode=RBAC"], "more than once"),
        (["authorization-config=EMPTY"], "no document of kind"),
        (["authorization-config=EMPTY", "authorization-mode=RBAC"], "can not be specified when"),
        (
            ["authorization-mode=Webhook", "authorization-webhook-config-file=CA"],
            "not a kubeconfig",
        ),
    ],
)
def test_flags_of_authentication_that_do_not_fit(
    args: list[str], problem: str, tmp_path: Path
) -> None:
    (tmp_path / "CA").write_bytes(certificate("ca"))
    (tmp_path / "EMPTY").write_text("")
    (tmp_path / "KEY").write_bytes(pki.new_key())
    given = [item.replace("=CA", f"={tmp_path}/CA") for item in args]
    given = [item.replace("=KEY", f"={tmp_path}/KEY") for item in given]
    given = [item.replace("=EMPTY", f"={tmp_path}/EMPTY") for item in given]
    with pytest.raises(ValueError, match=problem):
        apiserver_flags.check(apiserver_flags.read(given))


# Every flag of upstream's kube-apiserver v1.36.2, read off its --help.
UPSTREAM = [
    "admission-control",
    "admission-control-config-file",
    "advertise-address",
    "aggregator-reject-forwarding-redirect",
    "allow-metric-labels",
    "allow-metric-labels-manifest",
    "allow-privileged",
    "anonymous-auth",
    "api-audiences",
    "audit-log-batch-buffer-size",
    "audit-log-batch-max-size",
    "audit-log-batch-max-wait",
    "audit-log-batch-throttle-burst",
    "audit-log-batch-throttle-enable",
    "audit-log-batch-throttle-qps",
    "audit-log-compress",
    "audit-log-format",
    "audit-log-maxage",
    "audit-log-maxbackup",
    "audit-log-maxsize",
    "audit-log-mode",
    "audit-log-path",
    "audit-log-truncate-enabled",
    "audit-log-truncate-max-batch-size",
    "audit-log-truncate-max-event-size",
    "audit-log-version",
    "audit-policy-file",
    "audit-webhook-batch-buffer-size",
    "audit-webhook-batch-max-size",
    "audit-webhook-batch-max-wait",
    "audit-webhook-batch-throttle-burst",
    "audit-webhook-batch-throttle-enable",
    "audit-webhook-batch-throttle-qps",
    "audit-webhook-config-file",
    "audit-webhook-initial-backoff",
    "audit-webhook-mode",
    "audit-webhook-truncate-enabled",
    "audit-webhook-truncate-max-batch-size",
    "audit-webhook-truncate-max-event-size",
    "audit-webhook-version",
    "authentication-config",
    "authentication-token-webhook-cache-ttl",
    "authentication-token-webhook-config-file",
    "authentication-token-webhook-version",
    "authorization-config",
    "authorization-mode",
    "authorization-policy-file",
    "authorization-webhook-cache-authorized-ttl",
    "authorization-webhook-cache-unauthorized-ttl",
    "authorization-webhook-config-file",
    "authorization-webhook-version",
    "bind-address",
    "cert-dir",
    "client-ca-file",
    "contention-profiling",
    "coordinated-leadership-lease-duration",
    "coordinated-leadership-renew-deadline",
    "coordinated-leadership-retry-period",
    "cors-allowed-origins",
    "debug-socket-path",
    "default-not-ready-toleration-seconds",
    "default-unreachable-toleration-seconds",
    "delete-collection-workers",
    "disable-admission-plugins",
    "disable-http2-serving",
    "disabled-metrics",
    "egress-selector-config-file",
    "emulated-version",
    "emulation-forward-compatible",
    "enable-admission-plugins",
    "enable-aggregator-routing",
    "enable-bootstrap-token-auth",
    "enable-garbage-collector",
    "enable-logs-handler",
    "enable-priority-and-fairness",
    "encryption-provider-config",
    "encryption-provider-config-automatic-reload",
    "endpoint-reconciler-type",
    "etcd-cafile",
    "etcd-certfile",
    "etcd-compaction-interval",
    "etcd-count-metric-poll-period",
    "etcd-db-metric-poll-interval",
    "etcd-healthcheck-timeout",
    "etcd-keyfile",
    "etcd-prefix",
    "etcd-readycheck-timeout",
    "etcd-servers",
    "etcd-servers-overrides",
    "event-ttl",
    "external-hostname",
    "feature-gates",
    "goaway-chance",
    "http2-max-streams-per-connection",
    "kubelet-certificate-authority",
    "kubelet-client-certificate",
    "kubelet-client-key",
    "kubelet-preferred-address-types",
    "kubelet-timeout",
    "kubernetes-service-node-port",
    "lease-reuse-duration-seconds",
    "livez-grace-period",
    "log-flush-frequency",
    "log-json-info-buffer-size",
    "log-json-split-stream",
    "log-text-info-buffer-size",
    "log-text-split-stream",
    "logging-format",
    "max-connection-bytes-per-sec",
    "max-mutating-requests-inflight",
    "max-requests-inflight",
    "min-compatibility-version",
    "min-request-timeout",
    "oidc-ca-file",
    "oidc-client-id",
    "oidc-groups-claim",
    "oidc-groups-prefix",
    "oidc-issuer-url",
    "oidc-required-claim",
    "oidc-signing-algs",
    "oidc-username-claim",
    "oidc-username-prefix",
    "peer-advertise-ip",
    "peer-advertise-port",
    "peer-ca-file",
    "permit-address-sharing",
    "permit-port-sharing",
    "profiling",
    "proxy-client-cert-file",
    "proxy-client-key-file",
    "request-timeout",
    "requestheader-allowed-names",
    "requestheader-client-ca-file",
    "requestheader-extra-headers-prefix",
    "requestheader-group-headers",
    "requestheader-uid-headers",
    "requestheader-username-headers",
    "runtime-config",
    "runtime-config-emulation-forward-compatible",
    "secure-port",
    "send-retry-after-while-not-ready-once",
    "service-account-extend-token-expiration",
    "service-account-issuer",
    "service-account-jwks-uri",
    "service-account-key-file",
    "service-account-lookup",
    "service-account-max-token-expiration",
    "service-account-signing-endpoint",
    "service-account-signing-key-file",
    "service-cluster-ip-range",
    "service-node-port-range",
    "show-hidden-metrics-for-version",
    "shutdown-delay-duration",
    "shutdown-send-retry-after",
    "shutdown-watch-termination-grace-period",
    "storage-backend",
    "storage-initialization-timeout",
    "storage-media-type",
    "strict-transport-security-directives",
    "tls-cert-file",
    "tls-cipher-suites",
    "tls-curve-preferences",
    "tls-min-version",
    "tls-private-key-file",
    "tls-sni-cert-key",
    "token-auth-file",
    "tracing-config-file",
    "vmodule",
    "watch-cache",
    "watch-cache-sizes",
]


@pytest.mark.parametrize("name", UPSTREAM)
def test_no_flag_of_upstreams_is_unknown_or_ignored(name: str) -> None:
    (row,) = [row for row in apiserver_flags.rows() if row.name == name]
    if isinstance(row, Refused):
        assert row.reason
        with pytest.raises(ValueError, match=f"--{name}"):
            apiserver_flags.read([f"{name}=what nobody accepts"])
        for text in row.accepted:
            assert apiserver_flags.read([f"{name}={text}"])
    else:
        assert row.help


def test_upstream_has_every_other_flag() -> None:
    own = {"warn-unimplemented", "default-watch-cache-size", "resource-metrics"}
    assert {row.name for row in apiserver_flags.rows()} - own == {*UPSTREAM}

"""Kubeconfig files in and out."""

from __future__ import annotations

from pathlib import Path

import pytest

from trireme.client import kubeconfig
from trireme.client.http import Tls
from trireme.client.kubeconfig import Access, KubeconfigError
from trireme.kit.clock import RealClock
from trireme.kit.pki import Pair

FULL = b"""
apiVersion: v1
kind: Config
current-context: main
clusters:
- name: c
  cluster: {server: "https://10.0.0.1:6443", certificate-authority: ca.pem, tls-server-name: api}
users:
- name: u
  user: {client-certificate: c.pem, client-key-data: a2V5}
- name: t
  user: {tokenFile: token}
- name: e
  user: {exec: {command: aws}}
- name: half
  user: {client-key-data: a2V5}
contexts:
- {name: main, context: {cluster: c, user: u, namespace: team}}
- {name: token, context: {cluster: c, user: t}}
- {name: plugin, context: {cluster: c, user: e}}
- {name: half, context: {cluster: c, user: half}}
- {name: lost, context: {cluster: nope, user: u}}
"""


def test_files_are_found_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(FULL)
    (tmp_path / "ca.pem").write_text("CA")
    (tmp_path / "c.pem").write_text("CERT")
    access = kubeconfig.load(tmp_path / "config")
    assert access == Access(
        server="https://10.0.0.1:6443",
        tls=Tls(authority=b"CA", client=Pair(b"CERT", b"key"), server_name="api"),
        namespace="team",
    )
    assert kubeconfig.load(tmp_path / "config", "token").token_file == str(tmp_path / "token")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    access = Access(
        server="https://localhost:1",
        tls=Tls(authority=b"CA\n", client=Pair(b"C", b"K")),
        token="t",
        namespace="n",
    )
    path = tmp_path / "config"
    kubeconfig.write(path, access, "demo", "jane")
    assert path.stat().st_mode & 0o777 == 0o600
    assert kubeconfig.load(path) == access
    assert kubeconfig.load(path, "jane@demo") == access


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ("plugin", "user 'e': exec is not supported"),
        ("half", "a client certificate needs its key"),
        ("lost", "has no cluster 'nope'"),
        ("none", "has no context 'none'"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, context: str, message: str) -> None:
    (tmp_path / "ca.pem").write_text("CA")
    with pytest.raises(KubeconfigError, match=message):
        kubeconfig.parse(FULL, context, tmp_path)


@pytest.mark.parametrize("data", [b"", b"[]", b"kind: Pod", b"{", b"kind: Config\nclusters: 3"])
def test_what_is_no_kubeconfig(data: bytes) -> None:
    with pytest.raises(KubeconfigError):
        kubeconfig.parse(data)


def test_a_file_that_is_not_there_is_named_with_the_kubeconfig(tmp_path: Path) -> None:
    """One line tells which file of which kubeconfig; a bare OSError would be a traceback."""
    path = tmp_path / "config"
    with pytest.raises(KubeconfigError, match=f"^{path}: .*No such file"):
        kubeconfig.load(path)
    path.write_bytes(FULL)
    with pytest.raises(KubeconfigError, match=f"^{path}: .*No such file.*ca.pem"):
        kubeconfig.load(path)
    path.write_bytes(b"")
    with pytest.raises(KubeconfigError, match=f"^{path}: not a kubeconfig"):
        kubeconfig.load(path)


@pytest.mark.parametrize("server", ["ftp://10.0.0.1", "unix:///run/x"])
def test_other_protocols_than_http_are_refused(server: str) -> None:
    data = FULL.replace(b"https://10.0.0.1:6443", server.encode())
    with pytest.raises(KubeconfigError, match=f"cluster 'c': {server} is no address of HTTP"):
        kubeconfig.parse(data, "token")


@pytest.mark.parametrize(
    "tls",
    [
        Tls(authority=b"hello"),
        Tls(authority=b"\xff"),
        Tls(client=Pair(b"hello", b"key")),
    ],
)
def test_what_is_no_certificate_is_named(tls: Tls) -> None:
    access = Access(server="https://10.0.0.1:6443", tls=tls)
    with pytest.raises(KubeconfigError, match="no certificates and key for https://10"):
        kubeconfig.connect(access, RealClock())


def test_a_pod_finds_its_access_in_its_service_accounts_folder(tmp_path: Path) -> None:
    for name, text in (("namespace", "shop\n"), ("ca.crt", "CA"), ("token", "t")):
        (tmp_path / name).write_text(text)
    access = kubeconfig.in_cluster(tmp_path, "https://kubernetes.default.svc")
    assert (access.server, access.namespace) == ("https://kubernetes.default.svc", "shop")
    assert access.tls.authority == b"CA"
    # The kubelet renews it: the file is read again.
    assert access.token_file == str(tmp_path / "token")

"""Keys and certificates: who a certificate says its owner is."""

import ssl

import pytest
from cryptography import x509

from trireme.kit import pki

NOW = 1_900_000_000.0


@pytest.mark.parametrize(
    ("user", "groups"),
    [
        ("admin", ["system:masters"]),
        ("system:serviceaccount:kube-system:clusterrole-aggregation-controller", []),
        ("jane", ["a", "b"]),
    ],
)
def test_the_identity_comes_back(user: str, groups: list[str]) -> None:
    authority = pki.new_authority("ca", NOW)
    issued = pki.issue(authority, user, NOW, organizations=groups)
    der = ssl.PEM_cert_to_DER_cert(issued.certificate.decode())
    assert pki.identity(der) == (user, groups)


def test_a_server_certificate_names_hosts_and_addresses() -> None:
    authority = pki.new_authority("ca", NOW)
    issued = pki.issue(authority, "s", NOW, names=["localhost", "192.0.2.1"], server=True)
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(item) for item in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate))

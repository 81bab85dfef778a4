"""Certificates and keys of TLS Secrets: what Go says of each pair that does not belong together."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.x509.oid import NameOID

from trireme.api.certificates import pem
from trireme.api.core.v1 import key_pairs

KEYS: dict[str, Any] = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "ec": ec.generate_private_key(ec.SECP256R1()),
    "ed": ed25519.Ed25519PrivateKey.generate(),
    "x": x25519.X25519PrivateKey.generate(),
    "dsa": dsa.generate_private_key(1024),
}


def certificate(key: Any, signer: Any = None) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    signer = signer or key
    hashed = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(2040, 1, 1))
        .sign(signer, hashed)
        .public_bytes(forms.Encoding.PEM)
    )


def private(key: Any, form: str = "PKCS8") -> bytes:
    form = getattr(forms.PrivateFormat, form)
    return key.private_bytes(forms.Encoding.PEM, form, forms.NoEncryption())


CERTIFICATES = {name: certificate(KEYS[name]) for name in ("rsa", "ec", "ed")}
RSA, RSA_KEY = CERTIFICATES["rsa"], private(KEYS["rsa"])
DAMAGED = b"-----BEGIN {0}-----\nQUJD\n-----END {0}-----\n"
OTHER_TYPE = "tls: private key type does not match public key type"
NO_KEY = "tls: failed to parse private key"


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_pair_is_a_pair(name: str) -> None:
    assert key_pairs.problem(CERTIFICATES[name], private(KEYS[name])) == ""
    if name != "ed":
        old = private(KEYS[name], "TraditionalOpenSSL")
        assert key_pairs.problem(CERTIFICATES[name], old) == ""
    another = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ed": ed25519.Ed25519PrivateKey.generate,
    }[name]()
    detail = "tls: private key does not match public key"
    assert key_pairs.problem(CERTIFICATES[name], private(another)) == detail
    for other in CERTIFICATES.keys() - {name}:
        assert key_pairs.problem(CERTIFICATES[name], private(KEYS[other])) == OTHER_TYPE


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        (b"", b"", "tls: failed to find any PEM data in certificate input"),
        (b"x" + RSA, RSA_KEY, "tls: failed to find any PEM data in certificate input"),
        (RSA, b"y", "tls: failed to find any PEM data in key input"),
        (
            RSA_KEY, RSA,
            "tls: failed to find certificate PEM data in certificate input, but did find a private "
            "key; PEM inputs may have been switched",
        ),
        (
            RSA_KEY * 2, RSA_KEY,
            'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM '
            "blocks of the following types: [PRIVATE KEY PRIVATE KEY]",
        ),
        (RSA, RSA, "tls: found a certificate rather than a key in the PEM for the private key"),
        (
            RSA, RSA * 2,
            'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after '
            "skipping PEM blocks of the following types: [CERTIFICATE CERTIFICATE]",
        ),
        (DAMAGED.replace(b"{0}", b"CERTIFICATE"), RSA_KEY, "x509: malformed certificate"),
        (RSA, DAMAGED.replace(b"{0}", b"PRIVATE KEY"), NO_KEY),
        (RSA, private(KEYS["dsa"]), NO_KEY),
        (
            RSA, private(KEYS["x"]), "tls: found unknown private key type in PKCS#8 wrapping",
        ),
        (
            certificate(KEYS["x"], KEYS["ec"]), private(KEYS["ec"]),
            "tls: unknown public key algorithm",
        ),
        (RSA.replace(b"\n", b"\r\n"), RSA_KEY.replace(b"\n", b"\r\n"), ""),
        (RSA_KEY + RSA, RSA + RSA_KEY, ""),
        (b"\n" + RSA.replace(b"-----\n", b"-----  \n"), b"y\n" + RSA_KEY, ""),
    ],
)  # fmt: skip
def test_words(first: bytes, second: bytes, problem: str) -> None:
    assert key_pairs.problem(first, second) == problem


@pytest.mark.parametrize(
    "text",
    [
        b"-----BEGIN A-----\n" * 50_000,
        b"-----BEGIN A-----\na: b\n\n-----END B-----\n" * 20_000,
        b"-----BEGIN A-----\n" + b"a:b\n-----END A-----:\n" * 40_000,
        b"\n-----END X-----" * 60_000,
    ],
)
def test_no_text_takes_long(text: bytes) -> None:
    began = time.process_time()
    assert list(pem.blocks(text)) == []
    # What looks from each beginning for its end takes minutes.
    assert time.process_time() - began < 2


def test_blocks_as_go_reads_them() -> None:
    text = (
        b"-----BEGIN A-----\n-----BEGIN B-----\nK: v\nL: w\n\nQUJD\n-----END B-----\n"
        b"-----BEGIN C-----\n-----END C-----\n-----BEGIN D-----\nQ\n-----END D-----\n"
        b"-----BEGIN E-----\nQUJD\n-----END F-----\nx-----BEGIN G-----\nQUJD\n-----END G-----\n"
        b"-----BEGIN H-----\n QU\tJD\n-----END H----- \n-----BEGIN I-----\nQUJD\n-----END I-----x"
    )
    assert [(each.type, each.headers, each.content) for each in pem.blocks(text)] == [
        ("B", True, b"ABC"),
        ("C", False, b""),
        ("H", False, b"ABC"),
    ]

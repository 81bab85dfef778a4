"""Detached signatures: upstream's own vectors (cluster-bootstrap/token/jws)."""

from __future__ import annotations

import pytest

from trireme.kit import jws

HEAD = "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9.."


@pytest.mark.parametrize(
    ("content", "signature"),
    [
        (
            "Hello from the other side. I must have called a thousand times.",
            "VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8",
        ),
        ("", "7Ui1ALizW4jXphVUB7xUqC9vLYLL9RZeOFfVLoB7Tgk"),
    ],
)
def test_detached_signatures(content: str, signature: str) -> None:
    assert jws.detached(content, "joshua", "my voice is my passcode") == HEAD + signature

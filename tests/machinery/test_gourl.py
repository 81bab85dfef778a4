"""URLs, in Go's words."""

from __future__ import annotations

import pytest

from trireme.machinery import gourl

BAD = [
    ("ht tp://x", "first path segment in URL cannot contain colon"),
    ("://x", "missing protocol scheme"),
    ("https://[::1/", "missing ']' in host"),
    ("https://h/%zz", 'invalid URL escape "%zz"'),
    ("https://h/%2", 'invalid URL escape "%2"'),
    ("https://h:port", 'invalid port ":port" after host'),
    ("https://[::1]x", 'invalid port "x" after host'),
    ("https://a b/", 'invalid character " " in host name'),
    ("https://a\x01/", "net/url: invalid control character in URL"),
    ("https://u^@h/", "net/url: invalid userinfo"),
]


@pytest.mark.parametrize(("text", "problem"), BAD)
def test_what_is_no_url(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match="parse ") as caught:
        gourl.parse(text)
    assert str(caught.value).endswith(f": {problem}")


def test_parts() -> None:
    assert gourl.parse("HTTPS://u:p@h:1/a b?q#f") == ("https", "u:p", "h:1", "q", "f")
    assert gourl.parse("//h") == ("", None, "h", "", "")
    assert gourl.parse("h/x") == ("", None, "", "", "")
    assert gourl.parse("https:x") == ("https", None, "", "", "")

"""Who asks is not said behind a proxy subresource: no credentials, no impersonation, no front
proxy's word for it; and what a pod answers opens no origin of the API server's to others.

Upstream: the authentication and impersonation filters drop the headers, apimachinery ``util/proxy``
those of CORS.
"""

from __future__ import annotations

from multidict import CIMultiDict

from trireme.apiserver.nodes import headers

KEPT = {
    "Accept": "text/html",
    "Cookie": "c=d",
    "Host": "api:6443",
    "User-Agent": "me",
    "X-Forwarded-Proto": "https",
    "X-Own": "1",
}


def test_requests() -> None:
    dropped = {
        "Authorization": "Bearer secret",
        "authorization": "Basic secret",
        "Impersonate-User": "admin",
        "Impersonate-Uid": "7",
        "Impersonate-Extra-Scopes": "all",
        "X-Remote-User": "admin",
        "X-Remote-Uid": "7",
        "X-Remote-Extra-Scopes": "all",
        "Proxy-Authorization": "Basic secret",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "Keep-Alive": "1",
        "Te": "trailers",
        "Transfer-Encoding": "chunked",
        "Content-Length": "5",
    }
    sent = CIMultiDict(KEPT | dropped)
    for group in ("system:masters", "others"):
        sent.add("Impersonate-Group", group)
        sent.add("X-Remote-Group", group)
    passed = headers.of_request(sent, "192.0.2.1", "/api/v1/x/proxy/y")
    forwarded = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Uri": "/api/v1/x/proxy/y"}
    assert sorted(passed.items()) == sorted((KEPT | forwarded).items())


def test_who_was_on_the_way_before_is_kept() -> None:
    sent = {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Uri": "/forged"}
    passed = headers.of_request(sent, "192.0.2.1", "/x")
    assert passed["X-Forwarded-For"] == "198.51.100.1, 192.0.2.1"
    assert passed["X-Forwarded-Uri"] == "/x"


def test_answers() -> None:
    answered = CIMultiDict({"Server": "pod", "Connection": "X-Hop", "X-Hop": "1", "Upgrade": "x"})
    for cookie in ("a=1", "b=2"):
        answered.add("Set-Cookie", cookie)
    for what in ("Credentials", "Headers", "Methods", "Origin"):
        answered[f"Access-Control-Allow-{what}"] = "*"
    passed = headers.of_answer(answered)
    assert list(passed.items()) == [
        ("Server", "pod"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ]

"""Links in pages that are passed on."""

import pytest

from trireme.apiserver.reply import links

PREFIX = "/api/v1/namespaces/n/pods/p/proxy"
HOSTS = ("10.0.0.1:80", "api:6443")


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        ("/a", PREFIX + "/a"),
        ("/", PREFIX + "/"),
        ("/a/?q=1&r=2#f", PREFIX + "/a/?q=1&r=2#f"),
        ("/a/../../b", PREFIX + "/b"),
        ("http://10.0.0.1:80/a", PREFIX + "/a"),
        ("https://api:6443/a", PREFIX + "/a"),
        (PREFIX + "/a", PREFIX + "/a"),
        ("a/b", "a/b"),
        ("#f", "#f"),
        ("http://elsewhere/a", "http://elsewhere/a"),
        ("http://[bad/", "http://[bad/"),
    ],
)
def test_one_link(link: str, wanted: str) -> None:
    assert links.rewrite(link, PREFIX, HOSTS) == wanted


def test_only_links_of_a_page_change() -> None:
    page = (
        "<!DOCTYPE html>\n<HTML><!-- <a href='/no'> -->\n"
        "<img alt='href=/no' src=/yes><p href=/no>é &amp;\n"
        '<a class=x HREF = "/yes?a=1&amp;b=2">/no</a>'
        "<script>var x = '<a href=\"/no\">';</script>"
    ).encode()
    wanted = (page.replace(b"src=/yes", b'src="%s/yes"' % PREFIX.encode())).replace(
        b'"/yes?', b'"%s/yes?' % PREFIX.encode()
    )
    assert links.rewrite_page(page, PREFIX, HOSTS) == wanted

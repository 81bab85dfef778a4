"""Links in pages that are passed on."""

import time

import pytest

from trireme.apiserver.reply import links

PREFIX = "/api/v1/namespaces/n/pods/p/proxy"
HOSTS = links.Hosts("10.0.0.1:80", "api:6443")


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("/a", PREFIX + "/a"),
        ("/", PREFIX + "/"),
        ("/a/?q=1&r=2#f", PREFIX + "/a/?q=1&r=2#f"),
        ("/a/../../b", PREFIX + "/b"),
        ("http://10.0.0.1:80/a", PREFIX + "/a"),
        ("https://api:6443/a", "https://api:6443" + PREFIX + "/a"),
        (PREFIX + "/a", PREFIX + "/a"),
        ("a/b", "a/b"),
        ("#f", "#f"),
        ("http://elsewhere/a", "http://elsewhere/a"),
        ("http://[bad/", "http://[bad/"),
    ],
)
def test_one_link(link: str, expected: str) -> None:
    assert links.rewrite(link, PREFIX, HOSTS) == expected


def test_only_links_of_a_page_change() -> None:
    page = (
        "<!DOCTYPE html>\n<HTML><!-- <a href='/no'> -->\n"
        "<img alt='href=/no' src=/yes><p href=/no>é &amp;\n"
        '<a class=x HREF = "/yes?a=1&amp;b=2">/no</a>'
        "<script>var x = '<a href=\"/no\">';</script>"
    ).encode()
    expected = (page.replace(b"src=/yes", b'src="%s/yes"' % PREFIX.encode())).replace(
        b'"/yes?', b'"%s/yes?' % PREFIX.encode()
    )
    assert links.rewrite_page(page, PREFIX, HOSTS) == expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("<a title=it's href=/x>", f'<a title=it\'s href="{PREFIX}/x">'),
        ('<a title="a > b" href=/x>', f'<a title="a > b" href="{PREFIX}/x">'),
        ("<img src=/i/>", f'<img src="{PREFIX}/i/">'),
        ("<a href='/x'href=\"/y\">", f'<a href="{PREFIX}/x"href="{PREFIX}/y">'),
        ("<a href>", "<a href>"),
        ("<textarea><a href='/x'></textarea>", "<textarea><a href='/x'></textarea>"),
        ("<title><a href='/x'></title >", "<title><a href='/x'></title >"),
        ("</a href='/x'>", "</a href='/x'>"),
        ("<a href='/x'", "<a href='/x'"),
        ("1 < 2 <a href=/x>", f'1 < 2 <a href="{PREFIX}/x">'),
        ("<!-- <a href=/x>", "<!-- <a href=/x>"),
    ],
)
def test_what_a_tag_is(tag: str, expected: str) -> None:
    assert links.rewrite_page(tag.encode(), PREFIX, HOSTS) == expected.encode()


@pytest.mark.parametrize(
    "piece",
    [
        "<a ", "<a href=\"", "<a href='", "<", "<!--", "<a x", " x=", "=", "<script>",
        "<textarea></x", "<a x =  ", "<a/", "<a \"'>", "<img src=/x>",
    ],
)  # fmt: skip
def test_the_time_grows_with_the_page_alone(piece: str) -> None:
    """What takes the square of a page's size takes hours for this one."""
    page = b"<a " * (piece in (" x=", "=")) + piece.encode() * (200_000 // len(piece))
    began = time.process_time()
    links.rewrite_page(page, PREFIX, HOSTS)
    assert time.process_time() - began < 5

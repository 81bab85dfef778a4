"""Links in a page that the API server passes on are made to lead through the API server again.

In: a page's bytes, the path prefix of the proxy, and the hosts that mean the page's own server.
Out: the same bytes but for the links with an absolute path on such a host.  Called by the proxy
subresources.  Pure.  Upstream: apimachinery ``util/proxy``, the transport of text/html.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Container
from html.parser import HTMLParser
from urllib.parse import urlsplit, urlunsplit

# The attributes that hold an address, by element: https://www.w3.org/TR/REC-html40/index/
_ADDRESSES = {
    "a": {"href"},
    "applet": {"codebase"},
    "area": {"href"},
    "audio": {"src"},
    "base": {"href"},
    "blockquote": {"cite"},
    "body": {"background"},
    "button": {"formaction"},
    "command": {"icon"},
    "del": {"cite"},
    "embed": {"src"},
    "form": {"action"},
    "frame": {"longdesc", "src"},
    "head": {"profile"},
    "html": {"manifest"},
    "iframe": {"longdesc", "src"},
    "img": {"longdesc", "src", "usemap"},
    "input": {"formaction", "src", "usemap"},
    "ins": {"cite"},
    "link": {"href"},
    "object": {"classid", "codebase", "data", "usemap"},
    "q": {"cite"},
    "script": {"src"},
    "source": {"src"},
    "video": {"poster", "src"},
}
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""")


def rewrite_page(page: bytes, prefix: str, hosts: Container[str]) -> bytes:
    """The page with its links led through ``prefix``; what is no link stays byte for byte."""
    # Latin-1 maps every byte to a character and back, whatever the page's encoding is.
    text = page.decode("latin-1")
    pieces, done = [], 0
    for start, name, tag in _start_tags(text):
        changed = _ATTRIBUTE.sub(_Rewriter(_ADDRESSES[name], prefix, hosts), tag)
        pieces += [text[done:start], changed]
        done = start + len(tag)
    pieces.append(text[done:])
    return "".join(pieces).encode("latin-1", "xmlcharrefreplace")


def rewrite(link: str, prefix: str, hosts: Container[str]) -> str:
    """One link: relative ones and those to other hosts are left alone, also malformed ones."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return link
    elsewhere = bool(parts.netloc) and parts.netloc not in hosts
    if elsewhere or not parts.path.startswith("/"):
        return link
    path = parts.path
    if path != prefix and not path.startswith(prefix + "/"):
        path = prefix + posixpath.normpath("/" + path.lstrip("/")).rstrip("/")
        path += "/" if parts.path.endswith("/") else ""
    return urlunsplit(("", "", path, parts.query, parts.fragment))


class _Rewriter:
    """Replaces the value of an attribute that holds an address."""

    def __init__(self, names: Container[str], prefix: str, hosts: Container[str]) -> None:
        self._names, self._prefix, self._hosts = names, prefix, hosts

    def __call__(self, found: re.Match[str]) -> str:
        name, equals, value = found.groups()
        if name.lower() not in self._names:
            return found[0]
        link = html.unescape(value[1:-1] if value[0] in "\"'" else value)
        changed = rewrite(link, self._prefix, self._hosts)
        return found[0] if changed == link else f'{name}{equals}"{html.escape(changed)}"'


def _start_tags(text: str) -> list[tuple[int, str, str]]:
    """Where each start tag that may hold a link begins, its element, its whole text."""
    finder = _Finder(text)
    finder.feed(text)
    finder.close()
    return finder.found


class _Finder(HTMLParser):
    """Knows comments and scripts, in which nothing is a tag."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[tuple[int, str, str]] = []
        self._lines = [0, *(at.end() for at in re.finditer("\n", text))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        whole = self.get_starttag_text()
        if tag in _ADDRESSES and whole:
            line, column = self.getpos()
            self.found.append((self._lines[line - 1] + column, tag, whole))

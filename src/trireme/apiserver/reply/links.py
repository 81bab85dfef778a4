"""Links in a page that the API server passes on are made to lead through the API server again.

In: a page's bytes, the path prefix of the proxy, and the hosts that mean the page's own server.
Out: the same bytes but for the links with an absolute path on such a host. Time is linear in the
page's size whatever is in it. Called by ``pages`` and for redirects. Pure. Upstream: apimachinery
``util/proxy``, the transport of text/html.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Container
from typing import NamedTuple
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
# The elements whose content is text up to their own end tag, whatever stands in it.
_TEXT = {
    name: re.compile(rf"</{name}[\s/>]", re.IGNORECASE)
    for name in (
        *("iframe", "noembed", "noframes", "plaintext", "script"),
        *("style", "textarea", "title", "xmp"),
    )
}
# Neither looks at a character twice: the page is somebody else's.
_VALUE = r"""(\s*+=\s*+)("[^"]*+"|'[^']*+'|[^\s"'>][^\s>]*+)"""
_TAG = re.compile(rf"""<([A-Za-z][^\s/>]*+)(?:[\s/]++|=|[^\s/>=]++(?:{_VALUE})?+)*+>""")
_ATTRIBUTE = re.compile(rf"""([^\s/>=]++)(?:{_VALUE})?+""")


class Hosts(NamedTuple):
    """What may stand for the page's own server in a link: its address, and the name by which the
    client knows the API server."""

    server: str
    requested: str = ""


def rewrite_page(page: bytes, prefix: str, hosts: Hosts) -> bytes:
    """The page with its links led through ``prefix``; what is no link stays byte for byte."""
    # Latin-1 maps every byte to a character and back, whatever the page's encoding is.
    text = page.decode("latin-1")
    pieces, done, at = [], 0, 0
    while (start := text.find("<", at)) >= 0:
        if text.startswith("<!--", start):
            at = text.find("-->", start + 4)
            if at < 0:
                break
            continue
        found = _TAG.match(text, start)
        if found is None:
            if text[start + 1 : start + 2].isalpha():
                # A tag without an end takes the rest of the page.
                break
            at = start + 1
            continue
        name, at = found[1].lower(), found.end()
        if name in _ADDRESSES:
            rewriter = _Rewriter(_ADDRESSES[name], prefix, hosts)
            head = found.end(1)
            pieces += [text[done:head], _ATTRIBUTE.sub(rewriter, text[head:at])]
            done = at
        if name in _TEXT:
            end = _TEXT[name].search(text, at)
            if end is None:
                break
            at = end.start()
    pieces.append(text[done:])
    return "".join(pieces).encode("latin-1", "xmlcharrefreplace")


def rewrite(link: str, prefix: str, hosts: Hosts) -> str:
    """One link: relative ones and those to other hosts are left alone, also malformed ones."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return link
    convert_by_webhook = bool(parts.netloc) and parts.netloc not in hosts
    if convert_by_webhook or not parts.path.startswith("/"):
        return link
    path = parts.path
    if path != prefix and not path.startswith(prefix + "/"):
        path = prefix + posixpath.normpath("/" + path.lstrip("/")).rstrip("/")
        path += "/" if parts.path.endswith("/") else ""
    scheme, host = parts.scheme, parts.netloc
    if host != hosts.requested:
        scheme = host = ""
    return urlunsplit((scheme, host, path, parts.query, parts.fragment))


class _Rewriter:
    """Replaces the value of an attribute that holds an address."""

    def __init__(self, names: Container[str], prefix: str, hosts: Hosts) -> None:
        self._names, self._prefix, self._hosts = names, prefix, hosts

    def __call__(self, found: re.Match[str]) -> str:
        name, equals, value = found.groups()
        if value is None or name.lower() not in self._names:
            return found[0]
        link = html.unescape(value[1:-1] if value[0] in "\"'" else value)
        changed = rewrite(link, self._prefix, self._hosts)
        return found[0] if changed == link else f'{name}{equals}"{html.escape(changed)}"'

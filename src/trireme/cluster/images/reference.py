"""Image references.  Pure.

In: a reference as people write it (`busybox`, `quay.io/a/b:1`, `x@sha256:...`).  Out: its full
form, under which containerd keeps the image.  Called by `archive`, `build`, `load`.
https://github.com/distribution/reference rules: domain, path, tag, digest and their defaults.
"""

import re

import msgspec

_DEFAULT_DOMAIN = "docker.io"
_DEFAULT_TAG = "latest"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_DOMAIN = re.compile(r"(?:[a-zA-Z0-9](?:[-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


class Reference(msgspec.Struct, frozen=True):
    """A full reference.  `str()` gives the form that containerd stores."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.domain}/{self.path}{tag}{digest}"


def parse(text: str) -> Reference:
    """Reads a reference and fills in what is left out: docker.io, library/, :latest.

    Raises ValueError, naming the part that is wrong.
    """
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ValueError(f"image {text!r}: digest {digest!r} is not sha256:<64 hex digits>")
    head, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        head, tag = rest, ""
    elif not _TAG.fullmatch(tag):
        raise ValueError(f"image {text!r}: tag {tag!r} is not valid")
    domain, path = _domain_and_path(head)
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(f"image {text!r}: registry {domain!r} is not a host name")
    if not _PATH.fullmatch(path):
        raise ValueError(f"image {text!r}: name {path!r} is not lower case words joined by / . _ -")
    if domain == _DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    if not tag and not digest:
        tag = _DEFAULT_TAG
    return Reference(domain, path, tag, digest)


def normalise(text: str) -> str:
    """`busybox` becomes `docker.io/library/busybox:latest`.  Raises ValueError."""
    return str(parse(text))


def _domain_and_path(head: str) -> tuple[str, str]:
    first, slash, rest = head.partition("/")
    is_domain = "." in first or ":" in first or first == "localhost" or first != first.lower()
    if not slash or not is_domain:
        domain, path = _DEFAULT_DOMAIN, head
    else:
        domain, path = first, rest
    if domain == "index.docker.io":
        domain = _DEFAULT_DOMAIN
    return domain, path
